package mail

import "time"

// Every bound of sending e-mail, by name, with what happens when it is full.
const (
	// letterWait is how long a server may take to be reached, and again for each letter; then it has failed.
	letterWait = 20 * time.Second
	// addressMax bounds an address, in bytes; a longer one is refused.
	addressMax = 254
	// passwordMax bounds the file with the password, in bytes; a longer one is refused.
	passwordMax = 4 << 10
)
