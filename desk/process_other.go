//go:build !linux

package desk

// readSystem has nothing to read here.
func (p *process) readSystem() {}
