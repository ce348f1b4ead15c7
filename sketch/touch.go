package sketch

// Touch asks for the source's cache line ahead of its use. A processor fetches
// several lines at once but waits for one that it needs, so touching what will
// be needed soon hides most of the wait.
func (b *Buckets) Touch(hash uint64) { b.sets[hash&b.mask][0].Load() }

// Touch asks for the source's cache lines ahead of their use.
func (c *Cells) Touch(hash uint64) {
	set := &c.sets[hash&c.mask]
	set[0].head.Load()
	set[ways/2].head.Load()
}
