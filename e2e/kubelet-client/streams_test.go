package kubeletclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	clientexec "k8s.io/client-go/util/exec"
	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
	corelogs "k8s.io/cri-client/pkg/logs"
)

// What kubectl, crictl and the kubelet's proxies are made of, with each protocol they may choose.
var streamClients = []struct {
	name          string
	webSocket     bool
	protocol      string
	halfCloses    bool // tells the end of its input
	resizes       bool
	tellsExitCode bool
}{
	{"SPDY v4", false, "v4.channel.k8s.io", true, true, true},
	{"SPDY v3", false, "v3.channel.k8s.io", true, true, false},
	{"SPDY v2", false, "v2.channel.k8s.io", true, false, false},
	{"WebSocket v5", true, "v5.channel.k8s.io", true, true, true},
	{"WebSocket v4", true, "v4.channel.k8s.io", false, true, true},
}

func onEveryStreamClient(t *testing.T, test func(t *testing.T, handler string, client int)) {
	onEveryHandler(t, func(t *testing.T, handler string) {
		for i, client := range streamClients {
			t.Run(strings.ReplaceAll(client.name, " ", "-"), func(t *testing.T) { test(t, handler, i) })
		}
	})
}

func executor(t *testing.T, client int, address string) remotecommand.Executor {
	t.Helper()
	c := streamClients[client]
	config := &rest.Config{}
	if c.webSocket {
		return must[remotecommand.Executor](t, "executor")(
			remotecommand.NewWebSocketExecutorForProtocols(config, "GET", address, c.protocol))
	}
	parsed := must[*url.URL](t, "the URL")(url.Parse(address))
	transport, upgrader, err := spdy.RoundTripperFor(config)
	succeed(t, "transport", err)
	return must[remotecommand.Executor](t, "executor")(
		remotecommand.NewSPDYExecutorForProtocols(transport, upgrader, "POST", parsed, c.protocol))
}

// stream runs one session to its end.
func stream(t *testing.T, client int, address string, options remotecommand.StreamOptions) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return executor(t, client, address).StreamWithContext(ctx, options)
}

func execURL(t *testing.T, request *v1.ExecRequest) string {
	t.Helper()
	return must[*v1.ExecResponse](t, "Exec")(runtime.Exec(context.Background(), request)).Url
}

func TestExecCarriesOutputAndExitCode(t *testing.T) {
	onEveryStreamClient(t, func(t *testing.T, handler string, client int) {
		id := runPod(t, handler).start("main", sleeper)
		for _, code := range []int{0, 7} {
			var out, errout bytes.Buffer
			address := execURL(t, &v1.ExecRequest{ContainerId: id, Stdout: true, Stderr: true,
				Cmd: []string{"/bin/sh", "-c", fmt.Sprintf("echo hello; echo oops >&2; exit %d", code)}})
			err := stream(t, client, address, remotecommand.StreamOptions{Stdout: &out, Stderr: &errout})
			equal(t, "stdout", out.String(), "hello\n")
			equal(t, "stderr", errout.String(), "oops\n")
			var exit clientexec.CodeExitError
			switch {
			case code == 0:
				succeed(t, "a command that succeeds", err)
			case !streamClients[client].tellsExitCode:
				if err == nil || !strings.Contains(err.Error(), "exit status 7") {
					t.Errorf("a failing command: %v", err)
				}
			case !errors.As(err, &exit) || exit.ExitStatus() != code:
				t.Errorf("a failing command: %v", err)
			}
		}
	})
}

func TestExecEndsItsInputAndLosesNothing(t *testing.T) {
	const size = 3_000_000
	onEveryStreamClient(t, func(t *testing.T, handler string, client int) {
		id := runPod(t, handler).start("main", sleeper)
		input := bytes.Repeat([]byte("0123456789abcde\n"), size/16)
		script := "cat"
		if !streamClients[client].halfCloses {
			script = fmt.Sprintf("head -c %d", len(input))
		}
		var out bytes.Buffer
		address := execURL(t, &v1.ExecRequest{ContainerId: id, Stdin: true, Stdout: true,
			Cmd: []string{"/bin/sh", "-c", script}})
		succeed(t, "stream", stream(t, client, address,
			remotecommand.StreamOptions{Stdin: bytes.NewReader(input), Stdout: &out}))
		if !bytes.Equal(out.Bytes(), input) {
			t.Errorf("%d bytes of %d came back", out.Len(), len(input))
		}
	})
}

func TestExecTellsWhyItCannotStart(t *testing.T) {
	onEveryStreamClient(t, func(t *testing.T, handler string, client int) {
		id := runPod(t, handler).start("main", sleeper)
		var out bytes.Buffer
		address := execURL(t, &v1.ExecRequest{ContainerId: id, Stdout: true, Cmd: []string{"/no/such/program"}})
		err := stream(t, client, address, remotecommand.StreamOptions{Stdout: &out})
		if err == nil || !strings.Contains(err.Error(), "/no/such/program") {
			t.Errorf("a program that is not there: %v", err)
		}
	})
}

// sizes hands out one size and then the end.
type sizes chan remotecommand.TerminalSize

func (s sizes) Next() *remotecommand.TerminalSize {
	size, ok := <-s
	if !ok {
		return nil
	}
	return &size
}

// A terminal's user: writes a line when the output asks for it.
type typist struct {
	mutex  sync.Mutex
	seen   bytes.Buffer
	prompt string
	say    func()
}

func (u *typist) Write(bytes []byte) (int, error) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.seen.Write(bytes)
	if u.say != nil && strings.Contains(u.seen.String(), u.prompt) {
		u.say()
		u.say = nil
	}
	return len(bytes), nil
}

func (u *typist) text() string {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return u.seen.String()
}

func TestExecWithATerminalHasItsSize(t *testing.T) {
	onEveryStreamClient(t, func(t *testing.T, handler string, client int) {
		if !streamClients[client].resizes {
			t.Skip("this version of the protocol has no sizes")
		}
		id := runPod(t, handler).start("main", sleeper)
		script := "tty; echo $TERM; echo ready; while [ \"$(stty size)\" != '33 101' ]; do sleep 0.1; done; read line; echo got $line"
		address := execURL(t, &v1.ExecRequest{ContainerId: id, Stdin: true, Stdout: true, Tty: true,
			Cmd: []string{"/bin/sh", "-c", script}})
		input, keyboard := io.Pipe()
		defer keyboard.Close()
		queue := make(sizes, 1)
		user := &typist{prompt: "ready", say: func() {
			queue <- remotecommand.TerminalSize{Width: 101, Height: 33}
			go keyboard.Write([]byte("words\n"))
		}}
		err := stream(t, client, address, remotecommand.StreamOptions{Stdin: input, Stdout: user, Tty: true, TerminalSizeQueue: queue})
		close(queue)
		succeed(t, "stream", err)
		for _, wanted := range []string{"/dev/pts/", "xterm", "got words"} {
			if !strings.Contains(user.text(), wanted) {
				t.Errorf("no %q in %q", wanted, user.text())
			}
		}
	})
}

// everything is what the container's log holds.
func (p *pod) everything(id string) string {
	out, errout := p.readLog(id, &corelogs.LogOptions{})
	return out + errout
}

// attached starts a container that reads its input, and gives out a URL for each client.
func attached(t *testing.T, p *pod, tty, once bool, script string) (string, func() string) {
	t.Helper()
	config := p.containerConfig("main", script)
	config.Stdin, config.StdinOnce, config.Tty = true, once, tty
	id := p.create(config)
	succeed(t, "StartContainer", runtime.StartContainer(context.Background(), id))
	return id, func() string {
		return must[*v1.AttachResponse](t, "Attach")(runtime.Attach(context.Background(),
			&v1.AttachRequest{ContainerId: id, Stdin: true, Stdout: true, Stderr: !tty, Tty: tty})).Url
	}
}

func TestAttachIsJoinedToTheContainerAndEndsItsInputOnce(t *testing.T) {
	onEveryStreamClient(t, func(t *testing.T, handler string, client int) {
		p := runPod(t, handler)
		script := "echo early; cat; echo end >&2; exit 5"
		if !streamClients[client].halfCloses {
			script = "echo early; read line; echo $line; echo end >&2; exit 5"
		}
		id, address := attached(t, p, false, true, script)
		waitFor(t, "the container writes", func() bool { return strings.Contains(p.everything(id), "early") })
		var out, errout bytes.Buffer
		succeed(t, "stream", stream(t, client, address(), remotecommand.StreamOptions{
			Stdin: strings.NewReader("words\n"), Stdout: &out, Stderr: &errout}))
		equal(t, "stdout", out.String(), "words\n")
		equal(t, "stderr", errout.String(), "end\n")
		p.waitForExit(id)
		for _, wanted := range []string{"early", "words", "end"} {
			if !strings.Contains(p.everything(id), wanted) {
				t.Errorf("no %q in the log:\n%s", wanted, p.everything(id))
			}
		}
	})
}

func TestAttachToATerminalComesAndGoes(t *testing.T) {
	onEveryStreamClient(t, func(t *testing.T, handler string, client int) {
		p := runPod(t, handler)
		id, address := attached(t, p, true, false, "while read line; do echo got $line; [ \"$line\" = end ] && exit 0; done")
		for _, word := range []string{"one", "two", "end"} {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			input, keyboard := io.Pipe()
			go keyboard.Write([]byte(word + "\n"))
			user := &typist{prompt: "got " + word, say: func() {
				if word != "end" {
					cancel() // the client leaves, the container stays
				}
			}}
			err := executor(t, client, address()).StreamWithContext(ctx,
				remotecommand.StreamOptions{Stdin: input, Stdout: user, Tty: true})
			cancel()
			keyboard.Close()
			if word == "end" {
				succeed(t, "stream", err)
			} else if !strings.Contains(user.text(), "got "+word) {
				t.Fatalf("%s: %v, %q", word, err, user.text())
			}
		}
		p.waitForExit(id)
	})
}

// A client that goes away takes a terminal's program with it, and no other.
func TestExecOutlivesItsClientUnlessItHasATerminal(t *testing.T) {
	onEveryHandler(t, func(t *testing.T, handler string) {
		p := runPod(t, handler)
		id := p.start("main", sleeper)
		for _, tty := range []bool{false, true} {
			mark := fmt.Sprintf("4%d77", map[bool]int{false: 0, true: 1}[tty])
			address := execURL(t, &v1.ExecRequest{ContainerId: id, Stdin: true, Stdout: true, Tty: tty,
				Cmd: []string{"/bin/sh", "-c", "echo here; exec sleep " + mark}})
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			input, keyboard := io.Pipe()
			user := &typist{prompt: "here", say: cancel}
			_ = executor(t, 0, address).StreamWithContext(ctx,
				remotecommand.StreamOptions{Stdin: input, Stdout: user, Tty: tty})
			keyboard.Close()
			cancel()
			runs := func() bool { return strings.Contains(p.exec(id, "ps"), "sleep "+mark) }
			if tty {
				waitFor(t, "the terminal's program to end", func() bool { return !runs() })
			} else if time.Sleep(500 * time.Millisecond); !runs() {
				t.Error("the program ended with its client")
			}
		}
	})
}

func TestStreamingCallsSayWhatIsWrong(t *testing.T) {
	onEveryHandler(t, func(t *testing.T, handler string) {
		ctx := context.Background()
		p := runPod(t, handler)
		id := p.start("main", sleeper)
		ended := p.start("ended", "exit 0")
		p.waitForExit(ended)
		command := []string{"/bin/true"}
		for what, row := range map[string]struct {
			err   func() error
			words string
		}{
			"exec of nothing":      {func() error { _, e := runtime.Exec(ctx, &v1.ExecRequest{ContainerId: id, Stdout: true}); return e }, "cmd"},
			"exec without streams": {func() error { _, e := runtime.Exec(ctx, &v1.ExecRequest{ContainerId: id, Cmd: command}); return e }, "stdin, stdout, stderr"},
			"exec, tty and stderr": {func() error {
				_, e := runtime.Exec(ctx, &v1.ExecRequest{ContainerId: id, Cmd: command, Tty: true, Stdout: true, Stderr: true})
				return e
			}, "stderr"},
			"exec in nothing": {func() error { _, e := runtime.Exec(ctx, &v1.ExecRequest{Cmd: command, Stdout: true}); return e }, "container_id"},
			"exec in what has ended": {func() error {
				_, e := runtime.Exec(ctx, &v1.ExecRequest{ContainerId: ended, Cmd: command, Stdout: true})
				return e
			}, "EXITED"},
			"attach without streams": {func() error { _, e := runtime.Attach(ctx, &v1.AttachRequest{ContainerId: id}); return e }, "stdin, stdout, stderr"},
			"attach to what has ended": {func() error {
				_, e := runtime.Attach(ctx, &v1.AttachRequest{ContainerId: ended, Stdout: true})
				return e
			}, "EXITED"},
			"forward of no pod": {func() error { _, e := runtime.PortForward(ctx, &v1.PortForwardRequest{}); return e }, "pod_sandbox_id"},
			"forward of no port": {func() error {
				_, e := runtime.PortForward(ctx, &v1.PortForwardRequest{PodSandboxId: p.id, Port: []int32{65536}})
				return e
			}, "65536"},
		} {
			if err := row.err(); err == nil || !strings.Contains(strings.ToUpper(err.Error()), strings.ToUpper(row.words)) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// Sessions one after another cost the daemon nothing that stays.
func TestManyStreamsLeaveNothingInTheDaemon(t *testing.T) {
	id := runPod(t, "ns").start("main", sleeper)
	once := func() {
		var out bytes.Buffer
		address := execURL(t, &v1.ExecRequest{ContainerId: id, Stdout: true, Cmd: []string{"/bin/echo", "x"}})
		succeed(t, "stream", stream(t, 0, address, remotecommand.StreamOptions{Stdout: &out}))
		equal(t, "stdout", out.String(), "x\n")
	}
	count := func(what string) int {
		entries := must[[]os.DirEntry](t, what)(os.ReadDir("/proc/" + daemonPID + "/" + what))
		return len(entries)
	}
	for range 20 {
		once()
	}
	descriptors, threads := count("fd"), count("task")
	for range 1000 {
		once()
	}
	if now := count("fd"); now > descriptors+8 {
		t.Errorf("%d descriptors, %d before", now, descriptors)
	}
	if now := count("task"); now > threads+8 {
		t.Errorf("%d threads, %d before", now, threads)
	}
}
