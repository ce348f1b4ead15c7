package spool

import (
	"errors"
	"fmt"
	"testing"
)

// Nobody has checked a token: a new one with each message makes no new sender, neither for
// what is kept nor for the keys that are remembered.
func TestATokenMakesNoSender(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	with := func(pass, token uint64, key, body string) *Message {
		m := letter(pass, key, body)
		m.Sender.Credential = token
		return m
	}
	for i := range senderMessagesMax {
		put(t, s, with(1, uint64(1000+i), "", fmt.Sprint(i)))
	}
	if _, _, err := s.Put(with(1, 5000, "", "one more")); !errors.Is(err, ErrFull) {
		t.Errorf("more than one sender may have, by another token: %v", err)
	}
	put(t, s, with(2, 5000, "", "somebody else"))
	for i := range onceSenderMax {
		begin(t, s, with(3, uint64(100_000+i), fmt.Sprint(i), "a"))
	}
	if b, err := s.Begin(t.Context(), with(3, 5000, "one more", "a")); err != nil || b.End != nil {
		t.Errorf("more keys than one sender's are remembered, by another token: %v", err)
	}
	account := with(1, 5000, "", "logged in")
	account.Sender.Account = 7
	put(t, s, account)
	put(t, s, with(0, 9, "", "a partner has no pass"))
}

// A client that has lost its cookies tries again with the same token and key.
func TestAKeyIsFoundByItsToken(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	m := letter(1, "key", "text")
	m.Sender.Credential = 7
	id := put(t, s, m)
	m = letter(2, "key", "text")
	m.Sender.Credential = 7
	if b, err := s.Begin(t.Context(), m); err != nil || !b.Kept || b.ID != id {
		t.Errorf("%+v, %v: want the receipt of the first", b, err)
	}
	if same, again, err := s.Put(m); err != nil || !again || same != id {
		t.Errorf("kept again: %v, %v", same, err)
	}
}
