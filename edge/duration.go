package edge

import "time"

// Duration is a time.Duration that is written as text: "5s", "1m30s". A text
// that is none is kept for Validate, so that it is reported with all other
// errors and not alone.
type Duration struct {
	time.Duration
	wrong string
}

// Lasting gives d as a Duration.
func Lasting(d time.Duration) Duration { return Duration{Duration: d} }

// MarshalText gives the text form.
func (d Duration) MarshalText() ([]byte, error) {
	if d.wrong != "" {
		return []byte(d.wrong), nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText takes the text form; it never fails, see Duration.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		*d = Duration{wrong: string(text)}
		return nil
	}
	*d = Duration{Duration: parsed}
	return nil
}
