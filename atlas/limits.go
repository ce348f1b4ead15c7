package atlas

// Every bound of the atlas, by name, with what happens when it is full.
const (
	// FilesMax bounds the files; more is an error.
	FilesMax = 8
	// fileBytesMax bounds one file, in bytes; a longer one is an error, and is not read.
	fileBytesMax = 256 << 20
	// spansMax bounds the stretches of addresses that one file tells apart; more is an error.
	spansMax = 8 << 20
	// nameBytesMax is how much of an operator's name is kept, in bytes; the rest is cut off.
	nameBytesMax = 64
)
