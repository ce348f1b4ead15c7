//go:build !deichpanic

package guard

import "github.com/deichproject/deich"

func carry(e *deich.Engine) judge { return e }
