package guard

import "github.com/deichproject/deich"

func english() words {
	const (
		retry   = "Please try again {retry}."
		mistake = "If you believe this is a mistake, tell us the reference below."
		many    = "More requests are arriving than this service can answer."
	)
	none := text{Title: "No answer at the moment", Head: "We cannot answer this request at the moment.", Says: []string{retry, mistake}, Again: true}
	full := text{Title: none.Title, Head: none.Head, Says: []string{many, retry, mistake}, Again: true}
	return words{
		common: common{
			Reason: "Reason", Reference: "Reference", Again: "Try again", YourText: "Your text",
			Progress: "Progress of the calculation",
			Work:     "Your browser is doing a short calculation so that we can let you in. This takes about a second.",
			Done:     "Done. You are being let in.",
			Failed: "The calculation did not work in this browser. You are in the queue instead: {wait}. " +
				"You keep your place if you leave this page open.",
			Cookies: "The calculation is done, but your browser did not keep our cookie, so we do not recognise you. " +
				"Please allow cookies for this site, then try again.",
			Queue:  "You are in the queue: {wait}. You keep your place if you leave this page open.",
			Faster: "With JavaScript switched on, you would be let in within about a second.",
			Late:   "If nothing happens here, try again.",
			Resend: "Send again", Resent: "It is being sent again.", Soon: "It is sent again {retry}.",
			Reload: "Please reload this page {retry}: your browser then sends it again.",
		},
		times: times{
			wait:   timeForm{"a moment", "about "},
			retry:  timeForm{"in a moment", "in about "},
			second: "second", seconds: "seconds", minute: "minute", minutes: "minutes",
		},
		pages: map[string]map[deich.Reason]text{
			"challenge": {deich.NoReason: {
				Title: "One moment: many requests right now",
				Head:  "Many requests are arriving right now.",
			}},
			"wait": {deich.NoReason: {
				Title: "In the queue: {wait}",
				Head:  "You are in the queue: {wait}.",
				Says: []string{
					"Many requests are arriving right now. We let people in one after another.",
					"You keep your place if you leave this page open. It goes on by itself.",
				},
			}},
			"origin": {
				deich.NoReason: {
					Title: "The service does not answer", Head: "The service does not answer at the moment.",
					Says: []string{
						"Your request reached us, but the service behind this page is down. Nothing is wrong at your end.",
						retry, "If you sent something, please check whether it arrived before you send it again.",
					},
					Again: true,
				},
				deich.OriginSlow: {
					Title: "The service takes too long", Head: "The service takes too long to answer.",
					Says: []string{
						"Your request reached the service, but no answer came in time. Nothing is wrong at your end.",
						retry, "If you sent something, please check whether it arrived before you send it again.",
					},
					Again: true,
				},
			},
			"given_back": {
				deich.NoReason: {
					Title: "Your text was not sent", Head: "Your text was not sent.",
					Says: []string{many, "Your text is below, so that it is not lost. Please copy it, then try again {retry}."},
				},
				deich.OriginDown: unconfirmedEnglish(),
				deich.OriginSlow: unconfirmedEnglish(),
			},
			"resend": {deich.NoReason: {
				Title: "Not sent yet: many requests right now", Head: "What you sent is not lost.",
				Says: []string{many, "Your browser still has it, with all files, and sends it again by itself. If it asks you about that, please agree."},
			}},
			"unsent": {deich.NoReason: {
				Title: "Not sent yet: many requests right now", Head: "What you sent is not lost.",
				Says: []string{many, "Your browser still has it, with all files. Please reload this page {retry}: your browser then sends it again."},
			}},
			"refusal": {
				deich.NoReason:  none,
				deich.BelowCut:  full,
				deich.Unproven:  full,
				deich.QueueFull: full,
				deich.QueueLate: full,
				deich.Failopen:  full,
				deich.ByHand: {
					Title: "This request is blocked", Head: "We do not answer this request.",
					Says: []string{"The operators of this service have blocked it, by the address it came from or the page it asked for.", mistake},
				},
				deich.OverBudget: {
					Title: none.Title, Head: none.Head,
					Says: []string{
						"More requests came from your connection than we can answer right now. You may share it with others, for example in one network.",
						retry, mistake,
					},
					Again: true,
				},
				deich.StreamsFull: {
					Title: none.Title, Head: none.Head,
					Says:  []string{"All places for long transfers and live connections are taken.", retry, mistake},
					Again: true,
				},
				deich.BuffersFull: {
					Title: none.Title, Head: none.Head,
					Says:  []string{"More is being sent to this service than it can take in.", retry, mistake},
					Again: true,
				},
				deich.BadRequest: {
					Title: "This request is not readable", Head: "We could not read this request.",
					Says: []string{"It was malformed, or a part of it was missing.", "Please go back and try again. If it happens again, tell us the reference below."},
				},
				deich.SlowClient: {
					Title: "The request came too slowly", Head: "Your request came too slowly.",
					Says: []string{"We waited for the rest of it and had to stop.", "Please check your connection, then try again. If it happens again, tell us the reference below."},
				},
				deich.BodyTooLarge: {
					Title: "What you sent is too large", Head: "What you sent is too large.",
					Says: []string{"This service does not take that much at once.", "Please send less, or a smaller file. " + mistake},
				},
				deich.BadProof: {
					Title: "The calculation was not accepted", Head: "We could not accept the calculation.",
					Says:  []string{"It came too late, or had been used before.", "Please try again: your browser then gets a new one."},
					Again: true,
				},
				deich.NoSite: {
					Title: "No site of this name", Head: "There is no site of this name here.",
					Says: []string{"Please check the address. " + mistake},
				},
			},
		},
	}
}

func unconfirmedEnglish() text {
	return text{
		Title: "Your text may not have arrived", Head: "Your text may not have arrived.",
		Says: []string{"We handed it over, but got no answer.", "Please check whether it appeared before you send it again. Your text is below."},
	}
}
