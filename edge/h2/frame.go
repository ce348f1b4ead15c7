package h2

import "encoding/binary"

// Types of frames (RFC 9113, 6; RFC 9218, 7.1).
const (
	FrameData           = 0x0
	FrameHeaders        = 0x1
	FramePriority       = 0x2
	FrameRSTStream      = 0x3
	FrameSettings       = 0x4
	FramePushPromise    = 0x5
	FramePing           = 0x6
	FrameGoAway         = 0x7
	FrameWindowUpdate   = 0x8
	FrameContinuation   = 0x9
	FramePriorityUpdate = 0x10
)

// Flags of frames.
const (
	FlagAck        = 0x1
	FlagEndStream  = 0x1
	FlagEndHeaders = 0x4
	FlagPadded     = 0x8
	FlagPriority   = 0x20
)

// Code is an error's (RFC 9113, 7).
type Code uint32

// The codes that are sent or looked at.
const (
	CodeNone          Code = 0x0
	CodeProtocol      Code = 0x1
	CodeInternal      Code = 0x2
	CodeFlowControl   Code = 0x3
	CodeStreamClosed  Code = 0x5
	CodeFrameSize     Code = 0x6
	CodeRefusedStream Code = 0x7
	CodeCancel        Code = 0x8
	CodeCompression   Code = 0x9
	CodeCalm          Code = 0xb
	CodeInadequate    Code = 0xc
)

const (
	// HeadBytes is the length of a frame's head.
	HeadBytes = 9
	// Preface is what a client begins with (RFC 9113, 3.4).
	Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	settingTableSize  = 0x1
	settingPush       = 0x2
	settingStreams    = 0x3
	settingWindow     = 0x4
	settingFrameSize  = 0x5
	settingHeaderList = 0x6

	windowFirst = 1<<16 - 1 // of a connection and its streams, before SETTINGS
	windowMost  = 1<<31 - 1
)

// head is a frame's.
type head struct {
	length      int
	kind, flags byte
	id          uint32 // of its stream; 0: the connection's
}

func (h head) has(flag byte) bool { return h.flags&flag != 0 }

func parseHead(b []byte) head {
	return head{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		kind:   b[3], flags: b[4],
		id: binary.BigEndian.Uint32(b[5:]) &^ (1 << 31),
	}
}

func appendHead(b []byte, length int, kind, flags byte, id uint32) []byte {
	return append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags, byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

func appendU32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

func appendSetting(b []byte, id uint16, v uint32) []byte {
	return appendU32(binary.BigEndian.AppendUint16(b, id), v)
}
