package deich

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/bits"
	"strconv"
	"strings"
)

// A proof of work is Puzzles small searches over one seed, instead of one
// large one: the sum varies less, so nobody is unlucky for long. Sub-puzzle i
// (0 to Puzzles-1) asks for a number n such that SHA-256(seed ‖ uint32be(i) ‖
// uint32be(n)) begins with the given number of zero bits. The seed is the
// SHA-256 of the challenge's token.
const (
	// Puzzles is how many sub-puzzles a proof has.
	Puzzles = 8
	// BitsMin and BitsMax bound a sub-puzzle's difficulty: 2^15 to 2^19 hashes in all.
	BitsMin = 12
	BitsMax = 16
)

// ProofSeed gives the seed of a challenge's token.
func ProofSeed(token string) [32]byte { return sha256.Sum256([]byte(token)) }

func proofZeros(seed *[32]byte, puzzle, n uint32) int {
	var m [40]byte
	copy(m[:], seed[:])
	binary.BigEndian.PutUint32(m[32:], puzzle)
	binary.BigEndian.PutUint32(m[36:], n)
	sum := sha256.Sum256(m[:])
	return bits.LeadingZeros64(binary.BigEndian.Uint64(sum[:8]))
}

// SolveProof searches the answer to every sub-puzzle and says how many hashes
// it took. It is for rehearsals and tests; browsers run the page's worker.
func SolveProof(seed [32]byte, difficulty int) (answers [Puzzles]uint32, hashes int) {
	for i := range answers {
		for n := uint32(0); ; n++ {
			hashes++
			if proofZeros(&seed, uint32(i), n) >= difficulty {
				answers[i] = n
				break
			}
		}
	}
	return answers, hashes
}

// CheckProof says whether every answer holds: Puzzles hashes at most.
func CheckProof(seed [32]byte, difficulty int, answers [Puzzles]uint32) bool {
	for i, n := range answers {
		if proofZeros(&seed, uint32(i), n) < difficulty {
			return false
		}
	}
	return true
}

var errProofShape = errors.New("deich: proof: not eight numbers joined by '-'")

// ParseProof reads the eight decimal numbers, joined by "-", that a page sends.
func ParseProof(s string) (answers [Puzzles]uint32, err error) {
	if len(s) > Puzzles*11 {
		return answers, errProofShape
	}
	for i := range answers {
		word, rest, more := strings.Cut(s, "-")
		if more != (i < Puzzles-1) {
			return answers, errProofShape
		}
		n, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return answers, errProofShape
		}
		answers[i], s = uint32(n), rest
	}
	return answers, nil
}

// FormatProof is the inverse of ParseProof.
func FormatProof(answers [Puzzles]uint32) string {
	words := make([]string, Puzzles)
	for i, n := range answers {
		words[i] = strconv.FormatUint(uint64(n), 10)
	}
	return strings.Join(words, "-")
}
