// Package record is a log that tells when it was changed: plain files of
// lines, each with a hash over itself and the line before. It knows nothing of
// what it keeps.
//
//	l, repairs, err := record.Open(dir)
//	err = l.Append(payloads...) // returns once they are on disk
//	err = record.Read(dir, record.Place{}, record.Place{}, visit)
//	report, err := record.Verify(dir)
//
// A line is the hash in hex, a space, the line's number, a space, the payload
// (one line of text, JSON mostly), a line feed. The hash is SHA-256 over the
// hash of the line before (32 bytes, zero before the first) and what follows
// the first space. A file is named by the number of its first line, which says
// what the hash before it was, so that the oldest files can be removed and the
// rest still be checked. A file's time of change says when its last line was
// written.
//
// Whoever can write the files can also write all of them anew, with hashes that
// fit. Against that helps a hash that somebody else has noted: [Verify] says
// whether it still stands in the chain.
package record
