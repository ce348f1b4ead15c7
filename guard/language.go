package guard

import "strings"

const (
	// languageBytesMax is how much of an Accept-Language header is read; what
	// a person prefers stands at its beginning.
	languageBytesMax = 256
	// languageDefault is spoken to those who ask for none that the pages know.
	languageDefault = "en"
)

// language gives the one of the pages' languages, "en" or "de", that an
// Accept-Language header (RFC 9110, section 12.5.4) prefers. Of two that are
// liked equally the first named wins.
func language(acceptLanguage string) string {
	if len(acceptLanguage) > languageBytesMax {
		acceptLanguage = acceptLanguage[:languageBytesMax]
	}
	best, most := languageDefault, 0
	for item := range strings.SplitSeq(acceptLanguage, ",") {
		tag, parameters, _ := strings.Cut(item, ";")
		known := spoken(strings.Trim(tag, " \t"))
		if known == "" {
			continue
		}
		if q := quality(parameters); q > most {
			best, most = known, q
		}
	}
	return best
}

// spoken gives the page's language for a language range, or nothing.
func spoken(tag string) string {
	primary, _, _ := strings.Cut(tag, "-")
	switch {
	case strings.EqualFold(primary, "de"):
		return "de"
	case strings.EqualFold(primary, "en"):
		return "en"
	case primary == "*":
		return languageDefault
	default:
		return ""
	}
}

// quality reads a weight (RFC 9110, section 12.4.2) in thousandths: 1000
// without one, 0 where it is malformed.
func quality(parameters string) int {
	parameters = strings.Trim(parameters, " \t")
	if parameters == "" {
		return 1000
	}
	if len(parameters) < 3 || parameters[0]|0x20 != 'q' || parameters[1] != '=' {
		return 0
	}
	whole, decimals, _ := strings.Cut(parameters[2:], ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 {
		return 0
	}
	q, scale := int(whole[0]-'0')*1000, 100
	for i := range len(decimals) {
		if decimals[i] < '0' || decimals[i] > '9' {
			return 0
		}
		q += int(decimals[i]-'0') * scale
		scale /= 10
	}
	return min(q, 1000)
}
