package drill

import (
	"net/url"
	"sync"

	"github.com/deichproject/deich"
)

// solvers are the attackers' native proof solvers: a few goroutines with a bounded queue.
type solvers struct {
	asked   chan asked
	answers chan solved
	quit    chan struct{}
	all     sync.WaitGroup
}

type asked struct {
	assault uint8
	bot     int32
	puzzle  puzzle
}

type solved struct {
	assault uint8
	bot     int32
	form    string
}

func newSolvers(n int) *solvers {
	s := &solvers{asked: make(chan asked, ProofsMax), answers: make(chan solved, ProofsMax), quit: make(chan struct{})}
	for range n {
		s.all.Go(s.work)
	}
	return s
}

func (s *solvers) work() {
	for {
		select {
		case <-s.quit:
			return
		case a := <-s.asked:
			done := solved{a.assault, a.bot, proofForm(a.puzzle, "/")}
			select {
			case s.answers <- done:
			case <-s.quit:
				return
			}
		}
	}
}

// ask hands a puzzle in; false if too many wait.
func (s *solvers) ask(assault uint8, bot int32, p puzzle) bool {
	select {
	case s.asked <- asked{assault, bot, p}:
		return true
	default:
		return false
	}
}

func (s *solvers) close() {
	close(s.quit)
	s.all.Wait()
}

// proofForm solves a puzzle and gives the form to hand in.
func proofForm(p puzzle, back string) string {
	answers, _ := deich.SolveProof(deich.ProofSeed(p.token), p.bits)
	return proofFields(p, answers, back)
}

func proofFields(p puzzle, answers [deich.Puzzles]uint32, back string) string {
	return url.Values{"token": {p.token}, "proof": {deich.FormatProof(answers)}, "return": {back}}.Encode()
}
