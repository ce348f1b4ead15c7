package sim

// eventKind is what an event is about; who it is about depends on it.
type eventKind uint8

const (
	evTick    eventKind = iota
	evUser              // a client: its time has come to ask, or ask again
	evProof             // a client: its proof reaches the shield
	evArrive            // a flight: its headers reach the shield
	evGiveUp            // a flight: its client waits no longer
	evReply             // a flight: the origin's answer reaches the client
	evOrigin            // the origin: its next request may be finished
	evJob               // a flight: the origin is done with it
	evShot              // an attack: its next request
	evVisit             // an attack: its next early visit
	evSolved            // a bot: its proof reaches the shield
	evWeather           // the origin: slow or down, or well again
	evAdopt             // the engine: what a synthesis found
	evReload            // the engine: another policy
)

// event is compact so that hundreds of thousands fit a processor's cache.
// Events of the same time keep the order they were made in.
type event struct {
	at  int64
	seq uint64 // running number << 8 | kind
	who uint32
	gen uint32 // of the flight, lest an event of its predecessor hit it
}

func (e *event) kind() eventKind { return eventKind(e.seq) }

func (e *event) before(f *event) bool { return e.at < f.at || e.at == f.at && e.seq < f.seq }

// events is a heap with four children a node.
type events struct {
	heap []event
	made uint64
}

func (q *events) push(at int64, kind eventKind, who, gen uint32) {
	q.made++
	ev := event{at, q.made<<8 | uint64(kind), who, gen}
	q.heap = append(q.heap, ev)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / 4
		if q.heap[up].before(&ev) {
			break
		}
		q.heap[i] = q.heap[up]
		i = up
	}
	q.heap[i] = ev
}

func (q *events) pop() event {
	top := q.heap[0]
	n := len(q.heap) - 1
	last := q.heap[n]
	q.heap = q.heap[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		first := 4*i + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, n); c++ {
			if q.heap[c].before(&q.heap[least]) {
				least = c
			}
		}
		if last.before(&q.heap[least]) {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	q.heap[i] = last
	return top
}
