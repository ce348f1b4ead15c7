package edge

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"slices"
)

// Extensions that JA4 tells apart.
const (
	extensionServerName = 0x0000
	extensionALPN       = 0x0010
)

// ja4 names the software of a TLS client by what its first message offers:
// JA4, the TLS client fingerprint of FoxIO (technical_details/JA4.md in
// FoxIO-LLC/ja4, BSD-3-Clause). transport is 't' for TCP, 'q' for QUIC.
//
//	t13d1516h2_8daaf6152771_e5627efa2ab1
//	│││ │ │ │  │            └ extensions sorted, signature algorithms as they came
//	│││ │ │ │  └ cipher suites sorted
//	│││ │ │ └ first and last character of the first ALPN value
//	│││ │ └ extensions
//	│││ └ cipher suites
//	││└ d: asks for a domain, i: for none
//	│└ version
//	└ transport
//
// It is a feature of many, never an identity: whoever wants to can look like
// any browser.
func ja4(hello *tls.ClientHelloInfo, transport byte) string {
	var scratch [1024]byte
	var sorted [128]uint16
	b := make([]byte, 0, len("t13d1516h2_8daaf6152771_e5627efa2ab1"))

	b = append(b, transport)
	b = append(b, ja4Version(hello.SupportedVersions)...)
	if slices.Contains(hello.Extensions, extensionServerName) {
		b = append(b, 'd')
	} else {
		b = append(b, 'i')
	}
	ciphers := ungreased(sorted[:0], hello.CipherSuites)
	b = appendCount(b, len(ciphers))
	slices.Sort(ciphers)
	suites := appendDigest(nil, appendHex(scratch[:0], ciphers), len(ciphers))

	extensions := ungreased(sorted[:0], hello.Extensions)
	b = appendCount(b, len(extensions))
	b = appendALPN(b, hello.SupportedProtos)
	extensions = slices.DeleteFunc(extensions, func(e uint16) bool { return e == extensionServerName || e == extensionALPN })
	slices.Sort(extensions)
	list := appendHex(scratch[:0], extensions)
	signatures := make([]uint16, 0, 32)
	for _, s := range hello.SignatureSchemes {
		if !greased(uint16(s)) {
			signatures = append(signatures, uint16(s))
		}
	}
	if len(signatures) > 0 {
		list = appendHex(append(list, '_'), signatures)
	}
	b = append(append(b, '_'), suites...)
	return string(appendDigest(append(b, '_'), list, len(extensions)))
}

// greased says whether a value is one of those that clients send to be
// ignored (RFC 8701): 0x0a0a, 0x1a1a, … 0xfafa.
func greased(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

func ungreased(to, from []uint16) []uint16 {
	for _, v := range from {
		if !greased(v) {
			to = append(to, v)
		}
	}
	return to
}

func ja4Version(offered []uint16) string {
	var highest uint16
	for _, v := range offered {
		if !greased(v) {
			highest = max(highest, v)
		}
	}
	switch highest {
	case tls.VersionTLS13:
		return "13"
	case tls.VersionTLS12:
		return "12"
	case tls.VersionTLS11:
		return "11"
	case tls.VersionTLS10:
		return "10"
	case 0x0300:
		return "s3"
	}
	return "00"
}

// appendCount writes two digits, 99 for more.
func appendCount(b []byte, n int) []byte {
	n = min(n, 99)
	return append(b, '0'+byte(n/10), '0'+byte(n%10))
}

// appendALPN writes the first and last character of the first protocol, of its
// hexadecimal form where one of them is neither letter nor digit.
func appendALPN(b []byte, protocols []string) []byte {
	if len(protocols) == 0 || protocols[0] == "" {
		return append(b, "00"...)
	}
	first := protocols[0]
	head, tail := first[0], first[len(first)-1]
	if alphanumeric(head) && alphanumeric(tail) {
		return append(b, head, tail)
	}
	const digits = "0123456789abcdef"
	return append(b, digits[head>>4], digits[tail&0xf])
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// appendHex writes values as four digits each, with commas between them.
func appendHex(b []byte, values []uint16) []byte {
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = hex.AppendEncode(b, []byte{byte(v >> 8), byte(v)})
	}
	return b
}

// appendDigest writes twelve digits of the text's SHA-256, zeros where it
// lists nothing.
func appendDigest(b, text []byte, listed int) []byte {
	if listed == 0 {
		return append(b, "000000000000"...)
	}
	sum := sha256.Sum256(text)
	return hex.AppendEncode(b, sum[:6])
}
