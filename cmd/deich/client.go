package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/deichproject/deich/desk"
)

// dataFlag names the running Deich that a command speaks to.
type dataFlag struct {
	Data string `help:"Data folder of the Deich to speak to (${default})." type:"path" default:"${data}" placeholder:"DIR"`
}

const (
	// clientWait is how long a running Deich may take to answer a command.
	clientWait = 10 * time.Second
	// answerBytesMax bounds an answer that a command reads.
	answerBytesMax = 8 << 20
)

// client speaks to a running Deich's private server.
type client struct {
	base, token string
	http        *http.Client
}

// dial finds the Deich that keeps its data in dir.
func (f *dataFlag) dial() (*client, error) {
	address, err := readConsole(f.Data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint(fmt.Errorf("no Deich with a console runs with its data in %s", f.Data),
			"start one with deich protect or deich run, or name its folder: --data DIR")
	}
	if err != nil {
		return nil, hint(fmt.Errorf("console: %w", err), "run this as the user who runs Deich")
	}
	token, err := desk.ReadToken(f.Data)
	if err != nil {
		return nil, hint(err, "run this as the user who runs Deich")
	}
	// A transport of its own: a proxy from the environment must not see the token.
	return &client{"http://" + address, token, &http.Client{Transport: &http.Transport{}}}, nil
}

// ask sends a request and reads the answer into answer, where one is given.
func (c *client) ask(method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(context.Background(), clientWait)
	defer cancel()
	response, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, answerBytesMax)).Decode(answer); err != nil {
		return fmt.Errorf("console: %s %s: %w", method, path, err)
	}
	return nil
}

// send gives the answer of a request that went well; the caller closes it.
func (c *client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, &text)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, hint(fmt.Errorf("console: %w", err), "is Deich still running? it was last at %s", c.base)
	}
	if response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	var problem struct{ Title, Detail string }
	if json.NewDecoder(io.LimitReader(response.Body, answerBytesMax)).Decode(&problem) != nil || problem.Title == "" {
		return nil, fmt.Errorf("console: %s %s: %s", method, path, response.Status)
	}
	if problem.Detail == "" {
		return nil, errors.New(problem.Title)
	}
	return nil, hint(errors.New(problem.Title), "%s", problem.Detail)
}
