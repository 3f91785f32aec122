package node

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Program is one that runs beside the tests, with its output in a log file.
type Program struct {
	name    string
	logFile string
	command *exec.Cmd
	ended   chan struct{} // closed once it has ended and err is set
	err     error
}

// start runs a program until it is stopped or ends by itself; its log is added to.
func (w *World) start(name string, arguments ...string) (*Program, error) {
	return w.startCommand(name, exec.Command(arguments[0], arguments[1:]...))
}

func (w *World) startCommand(name string, command *exec.Cmd) (*Program, error) {
	program := &Program{name: name, logFile: filepath.Join(w.Logs(), name+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(program.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command.Stdout, command.Stderr, command.Dir = log, log, "/"
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	program.command = command
	go func() {
		program.err = command.Wait()
		close(program.ended)
	}()
	return program, nil
}

// PID is that of the process in the world's pid namespace.
func (p *Program) PID() int { return p.command.Process.Pid }

// Stop ends the program: SIGTERM, and SIGKILL after the patience.
func (p *Program) Stop(patience time.Duration) error {
	if p == nil {
		return nil
	}
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
	}
	p.Kill()
	return fmt.Errorf("%s did not end within %s of SIGTERM", p.name, patience)
}

// Kill ends the program at once.
func (p *Program) Kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// waitUntil asks again until the condition holds, the program has ended or the time is over.
func (p *Program) waitUntil(what string, limit time.Duration, condition func() error) error {
	end := time.Now().Add(limit)
	for {
		err := condition()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended before %s (%v):\n%s", p.name, what, p.err, p.LogTail())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: not %s after %s: %w\n%s", p.name, what, limit, err, p.LogTail())
		}
	}
}

// LogTail is the end of the program's log.
func (p *Program) LogTail() string {
	text, _ := os.ReadFile(p.logFile)
	const most = 4000
	if len(text) > most {
		text = text[len(text)-most:]
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	return string(text)
}

// answersOK says why a GET of the address is not answered with 200.
func answersOK(client *http.Client, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, response.Status)
	}
	return nil
}
