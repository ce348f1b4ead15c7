package spool

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What edges share is one stream, which holds the newest record of each
// subject: a message, what is known of it now, and which edge is the courier.
const (
	streamName     = "DEICH_SPOOL"
	streamSubjects = "deich.spool.>"
	messageSubject = "deich.spool.m." // and the id
	stateSubject   = "deich.spool.s." // and the id
	courierSubject = "deich.spool.courier"
)

var (
	errOvertaken = errors.New("spool: another edge was first")
	errUnsure    = errors.New("spool: the cluster did not answer in time")
	errForeign   = errors.New("spool: what lies on the cluster was sealed with other keys: give each edge the same pass.keys; until then nothing is kept")
	errApart     = errors.New("the connection is lost")
	errGap       = errors.New("a record was left out on its way")
)

// cluster is what several edges keep together, in a stream of a NATS cluster.
// Each edge follows the stream. What one writes holds where what it goes by is
// still the newest; so of two edges that want the same message one has it.
type cluster struct {
	edge  string // names this process among the edges
	vault vault
	alarm func(error)
	learn func(told) // hears each record of a message, in the stream's order

	conn  *nats.Conn
	js    jetstream.JetStream
	ctx   context.Context
	end   context.CancelFunc
	going sync.WaitGroup

	leaving chan struct{} // closed where no write is to be tried for long
	depart  func()        // closes it
	caught  chan struct{} // closed once all is known that was there at the start
	known   func()        // closes it

	applied atomic.Uint64 // number of the last record that was heard of
	damaged atomic.Uint64
	foreign atomic.Bool
	failed  atomic.Bool
	badTill atomic.Int64 // Unix nanoseconds: until then nothing new is tried
	warned  sync.Once
	behind  int // how often in a row the stream was shorter than what was heard of; the follower's alone

	mu     sync.Mutex
	stream jetstream.Stream // nil: not found yet
	rev    uint64           // number of the courier's record
	holder string           // the courier; empty: nobody
	seen   time.Time        // when that was heard
	held   time.Time        // when this edge last asked to be it and was
	led    time.Time        // since when it is; zero: it is not
}

// told is one record of the stream, of a message or of its state.
type told struct {
	kind  kind
	entry Entry
	seq   uint64
	tag   string // the write's, as its edge named it
}

// join makes a cluster of its configuration; start connects it. Its errors are the
// configuration's: a cluster that cannot be reached is waited for.
func join(n NATS, secret [32]byte, alarm func(error), learn func(told)) (*cluster, error) {
	c := &cluster{
		edge: newTag(), vault: newVault(secret), alarm: alarm, learn: learn,
		leaving: make(chan struct{}), caught: make(chan struct{}),
	}
	c.depart = sync.OnceFunc(func() { close(c.leaving) })
	c.known = sync.OnceFunc(func() { close(c.caught) })
	options := []nats.Option{
		nats.Name("deich"), nats.Timeout(clusterWait), nats.ReconnectWait(clusterAgain), nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(), nats.NoCallbacksAfterClientClose(),
		nats.PingInterval(clusterWait), nats.MaxPingsOutstanding(2),
		nats.ReconnectBufSize(-1), // what is not sent at once is tried again here
		nats.DisconnectErrHandler(func(*nats.Conn, error) { c.went(errApart) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.went(err) }),
	}
	if n.Credentials != "" {
		options = append(options, nats.UserCredentials(n.Credentials))
	}
	if n.CA != "" {
		options = append(options, nats.RootCAs(n.CA))
	}
	var err error
	if c.conn, err = nats.Connect(strings.Join(n.Servers, ","), options...); err == nil {
		c.js, err = jetstream.New(c.conn)
	}
	if err != nil {
		return nil, fmt.Errorf("spool: nats: %w", err)
	}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c, nil
}

// newTag names an edge, or a write.
func newTag() string {
	var b [10]byte
	rand.Read(b[:])
	return idCodec.EncodeToString(b[:])
}

// start follows the stream, and waits a while until all is known that is there.
func (c *cluster) start() {
	c.going.Go(c.follow)
	late := time.NewTimer(clusterStart)
	defer late.Stop()
	select {
	case <-c.caught:
	case <-late.C:
		c.alarm(fmt.Errorf("%w: nothing is kept until it does, everything else goes on", errUnsure))
	}
}

func (c *cluster) close() {
	c.end()
	c.going.Wait()
	c.conn.Close()
}

// went notes whether the cluster did what it was asked for.
func (c *cluster) went(err error) {
	if err == nil {
		c.failed.Store(false)
		return
	}
	c.badTill.Store(time.Now().Add(diskAgain).UnixNano())
	if !c.failed.Swap(true) {
		c.alarm(fmt.Errorf("spool: the cluster: %w: nothing is kept for now, everything else goes on", err))
	}
}

// upToDate says whether all is known that was there at the start.
func (c *cluster) upToDate() bool {
	select {
	case <-c.caught:
		return !c.foreign.Load()
	default:
		return false
	}
}

// keeps says whether messages are kept; takes, whether it is worth trying.
func (c *cluster) keeps() bool { return c.upToDate() && !c.failed.Load() && c.conn.IsConnected() }

func (c *cluster) takes() bool {
	return c.upToDate() && (!c.failed.Load() || time.Now().UnixNano() > c.badTill.Load())
}

// recordMax is the longest record that the servers take.
func (c *cluster) recordMax() int64 {
	if n := c.conn.MaxPayload(); n > 0 {
		return n - 1<<10 // headers
	}
	return recordBytesMax
}

// ensure finds the stream, or makes it: on three nodes, or on the one there is.
func (c *cluster) ensure(ctx context.Context) (jetstream.Stream, error) {
	stream, err := c.js.Stream(ctx, streamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		config := jetstream.StreamConfig{
			Name: streamName, Subjects: []string{streamSubjects}, Description: "messages that Deich keeps",
			Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
			MaxMsgsPerSubject: 1, MaxAge: streamLife, Duplicates: streamRepeats, Replicas: streamReplicas,
		}
		stream, err = c.js.CreateStream(ctx, config)
		var api *jetstream.APIError
		if errors.As(err, &api) && api.ErrorCode == codeNoCluster {
			config.Replicas = 1
			stream, err = c.js.CreateStream(ctx, config)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", streamName, err)
	}
	info := stream.CachedInfo()
	is := info.Config
	if is.Storage != jetstream.FileStorage || is.Retention != jetstream.LimitsPolicy || is.MaxMsgsPerSubject != 1 || is.NoAck || !slices.Equal(is.Subjects, []string{streamSubjects}) {
		return nil, fmt.Errorf("stream %s is not as Deich makes it", streamName)
	}
	// A node that has just come to lead may not have caught up with itself.
	if last := info.State.LastSeq; last >= c.applied.Load() {
		c.behind = 0
	} else if c.behind++; c.behind < behindMax {
		return nil, errGap
	} else {
		c.alarm(fmt.Errorf("spool: the cluster has lost what it had acknowledged: its stream ends at %d, and was at %d", last, c.applied.Load()))
		c.applied.Store(last)
	}
	c.warned.Do(func() { c.warn(is.Replicas) })
	c.mu.Lock()
	c.stream = stream
	c.mu.Unlock()
	return stream, nil
}

// The codes of NATS that matter here and have no name in its client.
const (
	codeNoCluster  jetstream.ErrorCode = 10074 // more than one replica without a cluster
	codeInProgress jetstream.ErrorCode = 10158 // the same write is on its way
)

// warn says what an operator should know of the servers.
func (c *cluster) warn(replicas int) {
	if replicas < streamReplicas {
		c.alarm(fmt.Errorf("spool: the cluster keeps each message on %d of %d nodes: it survives no loss of them", replicas, streamReplicas))
	}
	var major, minor int
	version := c.conn.ConnectedServerVersion()
	if n, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err == nil && n == 2 && (major < 2 || major == 2 && minor < 10) {
		c.alarm(fmt.Errorf("spool: nats-server %s acknowledges before it syncs: where most nodes lose their power at once, kept messages are lost; from 2.10 on sync_interval: always prevents that", version))
	}
}

// write puts a record where last is the number of the newest one under its
// subject (0: none), and gives its number once most nodes have it. again says
// that one with the same tag was there before: it is that one's number. It tries
// until it is certain: errOvertaken, where another record is newer; errUnsure,
// where ctx ends before that, or the cluster is being left: then it may be there.
func (c *cluster) write(ctx context.Context, subject, tag string, text []byte, last uint64) (seq uint64, again bool, err error) {
	data := c.vault.seal(subject, text)
	leaving, late := c.leaving, (<-chan time.Time)(nil)
	for {
		seq, again, err = c.attempt(ctx, subject, tag, data, last)
		if err == nil || errors.Is(err, errOvertaken) {
			c.went(nil)
			return seq, again, err
		}
		if c.ctx.Err() == nil {
			c.went(err)
		}
		pause := time.NewTimer(clusterAgain)
		select {
		case <-pause.C:
			continue
		case <-leaving: // from now on it is tried for a while only
			leaving, late = nil, time.After(clusterLeave)
			continue
		case <-late:
		case <-ctx.Done():
		}
		pause.Stop()
		return 0, false, fmt.Errorf("%w: %w", errUnsure, err)
	}
}

func (c *cluster) attempt(ctx context.Context, subject, tag string, data []byte, last uint64) (seq uint64, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, clusterWait)
	defer cancel()
	ack, err := c.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data},
		jetstream.WithMsgID(tag), jetstream.WithExpectStream(streamName), jetstream.WithExpectLastSequencePerSubject(last))
	var api *jetstream.APIError
	switch {
	case err == nil:
		return ack.Sequence, ack.Duplicate, nil
	case errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant):
		return 0, false, errOvertaken
	case errors.As(err, &api) && api.ErrorCode == codeInProgress:
		return 0, false, errUnsure
	}
	return 0, false, err
}

// read gives the text of a record.
func (c *cluster) read(subject string, seq uint64) ([]byte, error) {
	c.mu.Lock()
	stream := c.stream
	c.mu.Unlock()
	if stream == nil {
		return nil, errApart
	}
	ctx, cancel := context.WithTimeout(c.ctx, clusterWait)
	defer cancel()
	m, err := stream.GetMsg(ctx, seq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, errDamaged
	case err != nil:
		return nil, fmt.Errorf("spool: the cluster: %w", err)
	}
	return c.vault.open(subject, m.Data)
}

// erase overwrites a record. Where that fails, the sweep removes it later.
func (c *cluster) erase(seq uint64) { _ = c.remove(seq, true) }

// remove takes a record out of the stream; that there is none is no error.
func (c *cluster) remove(seq uint64, overwrite bool) error {
	c.mu.Lock()
	stream := c.stream
	c.mu.Unlock()
	if stream == nil || seq == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, clusterWait)
	defer cancel()
	remove := stream.DeleteMsg
	if overwrite {
		remove = stream.SecureDeleteMsg
	}
	if err := remove(ctx, seq); err != nil && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return err
	}
	return nil
}

// follow hears what is in the stream, and whatever comes, until the cluster is closed.
func (c *cluster) follow() {
	for c.ctx.Err() == nil {
		err := c.followOn()
		if c.ctx.Err() != nil {
			return
		}
		var asked *setupError
		if errors.As(err, &asked) {
			c.went(asked.error)
		}
		select {
		case <-time.After(clusterAgain):
		case <-c.ctx.Done():
		}
	}
}

// setupError is one that kept the stream from being followed at all.
type setupError struct{ error }

// followOn hears records from where it was left, until something is in the way.
func (c *cluster) followOn() error {
	ctx, cancel := context.WithTimeout(c.ctx, 2*clusterWait)
	defer cancel()
	stream, err := c.ensure(ctx)
	if errors.Is(err, errGap) {
		return err
	}
	if err != nil {
		return &setupError{err}
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: c.applied.Load() + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: followLife,
	})
	if err != nil {
		return &setupError{fmt.Errorf("consumer: %w", err)}
	}
	c.went(nil)
	if consumer.CachedInfo().NumPending == 0 {
		c.known()
	}
	for next := uint64(1); c.ctx.Err() == nil; {
		got, err := c.fetch(consumer, next)
		if err != nil {
			return err
		}
		if next += got; got == 0 {
			c.known() // there was nothing
		}
	}
	return nil
}

// fetch hears what comes for a while; next is what the consumer counts the first as.
func (c *cluster) fetch(consumer jetstream.Consumer, next uint64) (got uint64, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, followWait)
	defer cancel()
	batch, err := consumer.Fetch(followBatch, jetstream.FetchContext(ctx), jetstream.FetchHeartbeat(followBeat))
	if err != nil {
		return 0, err
	}
	for m := range batch.Messages() {
		about, err := m.Metadata()
		if err != nil || about.Sequence.Consumer != next+got {
			return got, errors.Join(errGap, err)
		}
		got++
		c.hear(m, about.Sequence.Stream)
		if about.NumPending == 0 {
			c.known()
		}
	}
	return got, batch.Error()
}

// hear takes one record over.
func (c *cluster) hear(m jetstream.Msg, seq uint64) {
	defer c.applied.Store(seq)
	subject := m.Subject()
	text, err := c.vault.open(subject, m.Data())
	if errors.Is(err, errForeign) {
		if !c.foreign.Swap(true) {
			c.alarm(err)
		}
		return
	}
	t := told{kind: kindState, seq: seq, tag: m.Headers().Get(jetstream.MsgIDHeader)}
	switch {
	case err != nil:
	case subject == courierSubject:
		var edge string
		if err = json.Unmarshal(text, &edge); err == nil {
			c.note(edge, seq, time.Time{})
			return
		}
	case strings.HasPrefix(subject, messageSubject):
		t.kind = kindMessage
		if text, _, err = unpack(text); err == nil {
			err = json.Unmarshal(text, &t.entry)
		}
	default:
		err = json.Unmarshal(text, &t.entry)
	}
	if err != nil {
		c.damaged.Add(1)
		c.alarm(fmt.Errorf("spool: record %d of the cluster's (%s) is damaged", seq, subject))
		return
	}
	c.learn(t)
}

// reach waits until a record was heard of, or ctx ends.
func (c *cluster) reach(ctx context.Context, seq uint64) {
	for c.applied.Load() < seq && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
}
