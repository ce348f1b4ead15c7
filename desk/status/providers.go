package status

import "strings"

// providers are domains where many people who do not know each other have a mailbox,
// and nobody has more than some: a crowd of subscribers comes from there, and the
// mailbox is what is bounded. Whoever is missing here counts as one domain, which
// is asked more slowly. Names beneath them are customers', and not meant.
var providers = func() map[string]bool {
	all := make(map[string]bool)
	for name := range strings.FieldsSeq(`
		gmail.com googlemail.com outlook.com outlook.de outlook.fr hotmail.com hotmail.co.uk hotmail.de hotmail.es hotmail.fr hotmail.it live.com live.de live.fr live.nl live.co.uk msn.com
		yahoo.com yahoo.co.in yahoo.co.jp yahoo.co.uk yahoo.com.br yahoo.de yahoo.es yahoo.fr yahoo.in yahoo.it ymail.com aol.com aim.com icloud.com me.com mac.com
		proton.me protonmail.com pm.me tuta.com tuta.io tutanota.com tutanota.de fastmail.com fastmail.fm hey.com zoho.com mail.com gmx.com
		gmx.de gmx.net gmx.at gmx.ch web.de email.de t-online.de magenta.de freenet.de arcor.de vodafonemail.de 1und1.de online.de posteo.de posteo.net mailbox.org
		a1.net aon.at chello.at bluewin.ch hispeed.ch sunrise.ch orange.fr wanadoo.fr free.fr sfr.fr laposte.net neuf.fr libero.it virgilio.it tiscali.it alice.it tin.it
		ziggo.nl kpnmail.nl planet.nl xs4all.nl home.nl telenet.be skynet.be proximus.be telefonica.net sapo.pt telia.com online.no mail.dk
		wp.pl o2.pl onet.pl interia.pl seznam.cz centrum.cz azet.sk freemail.hu abv.bg mail.ru bk.ru list.ru inbox.ru yandex.ru yandex.com ya.ru rambler.ru ukr.net i.ua
		btinternet.com sky.com virginmedia.com talktalk.net ntlworld.com comcast.net att.net verizon.net sbcglobal.net cox.net charter.net shaw.ca rogers.com sympatico.ca
		bigpond.com optusnet.com.au xtra.co.nz uol.com.br bol.com.br terra.com.br qq.com foxmail.com 163.com 126.com sina.com naver.com daum.net hanmail.net docomo.ne.jp ezweb.ne.jp rediffmail.com`) {
		all[name] = true
	}
	return all
}()
