package townsquare

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

// errLogin says that a name and a password do not belong together.
var errLogin = errors.New("name and password do not belong together")

// check gives the member whose name and password these are, else errLogin. It
// takes as long for a name that nobody has.
func (c *call) check(name, password string) (member, error) {
	m, hash, err := c.store.memberByName(c.ctx, strings.ToLower(strings.TrimSpace(name)))
	unknown := errors.Is(err, errMissing)
	switch {
	case unknown:
		hash = c.nobody
	case err != nil:
		return member{}, err
	}
	if err := bcrypt.CompareHashAndPassword(hash, []byte(password)); err != nil || unknown || len(password) > passwordBytesMax {
		return member{}, errLogin
	}
	return m, nil
}

func (c *call) loginPage() error {
	return c.render("login", loginView{Next: localPath(c.r.URL.Query().Get("next"))})
}

func (c *call) login() error {
	name, next := c.form.Get("name"), localPath(c.form.Get("next"))
	m, err := c.check(name, c.form.Get("password"))
	if errors.Is(err, errLogin) {
		c.status = http.StatusUnauthorized
		return c.render("login", loginView{Says: "This name and password do not belong together.", Name: name, Next: next})
	}
	if err != nil {
		return err
	}
	return c.enter(m, next)
}

// enter gives a member a new session.
func (c *call) enter(m member, next string) error {
	secret, err := c.store.grant(c.ctx, m.ID, session, c.now)
	if err != nil {
		return err
	}
	c.beginSession(m, secret)
	return c.redirect(next)
}

func (c *call) logout() error {
	if cookie, err := c.r.Cookie(sessionCookie); err == nil {
		if err := c.store.revoke(c.ctx, cookie.Value, session); err != nil {
			return err
		}
	}
	c.header.Del("Set-Cookie") // identify may have ended a stale one
	c.endSession()
	return c.redirect("/")
}

func (c *call) signupPage() error {
	return c.render("signup", signupView(loginView{Next: localPath(c.r.URL.Query().Get("next"))}))
}

func signupView(v loginView) loginView {
	v.Min, v.Max = passwordBytesMin, passwordBytesMax
	return v
}

func (c *call) signup() error {
	view := signupView(loginView{
		Name: strings.ToLower(strings.TrimSpace(c.form.Get("name"))), Display: strings.TrimSpace(c.form.Get("display")),
		Next: localPath(c.form.Get("next")),
	})
	password := c.form.Get("password")
	if view.Says = signupError(view.Name, view.Display, password); view.Says != "" {
		c.status = http.StatusUnprocessableEntity
		return c.render("signup", view)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), c.config.PasswordCost)
	if err != nil {
		return fmt.Errorf("townsquare: sign up: %w", err)
	}
	if view.Display == "" {
		view.Display = view.Name
	}
	m, err := c.store.addMember(c.ctx, member{Name: view.Name, Display: view.Display, Joined: c.now}, hash)
	switch {
	case errors.Is(err, errTaken):
		c.status = http.StatusConflict
		view.Says = "This name is taken. Please choose another."
		return c.render("signup", view)
	case errors.Is(err, errFull):
		return refuse(http.StatusServiceUnavailable, "Townsquare has no room for another member at the moment.")
	case err != nil:
		return err
	}
	return c.enter(m, view.Next)
}

// memberName is what a name may be.
var memberName = regexp.MustCompile(`^[a-z][a-z0-9_]{2,23}$`)

// signupError says what is wrong with a sign-up, "" if nothing.
func signupError(name, display, password string) string {
	switch {
	case !memberName.MatchString(name):
		return "A name has 3 to 24 letters a to z, digits or _, and begins with a letter."
	case !utf8.ValidString(display) || utf8.RuneCountInString(display) > displayRunesMax:
		return fmt.Sprintf("The shown name may have %d characters.", displayRunesMax)
	case len(password) < passwordBytesMin:
		return fmt.Sprintf("A password has at least %d characters.", passwordBytesMin)
	case len(password) > passwordBytesMax:
		return fmt.Sprintf("A password has at most %d bytes.", passwordBytesMax)
	}
	return ""
}

// localPath gives a path of this site to go on to, "/" for anything else. A
// browser takes "//host" and "/\host" for another site, and drops tabs and
// newlines before it looks.
func localPath(to string) string {
	if len(to) == 0 || to[0] != '/' || len(to) > 1 && (to[1] == '/' || to[1] == '\\') {
		return "/"
	}
	if strings.ContainsFunc(to, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) {
		return "/"
	}
	return to
}
