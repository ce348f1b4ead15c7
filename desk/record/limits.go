package record

// Every bound of the record, by name, with what happens when it is reached.
const (
	// payloadMax bounds one payload, in bytes; a longer one is refused with an error.
	payloadMax = 1 << 20
	// fileBytesMax is how large a file gets, in bytes, before the next one is begun.
	fileBytesMax = 8 << 20
	// lineMax bounds a line as it is read; a longer one is damage.
	lineMax = payloadMax + 128
)
