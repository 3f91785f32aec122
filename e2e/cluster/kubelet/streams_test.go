package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	utilexec "k8s.io/client-go/util/exec"

	"catamaran/e2e/cluster/await"
)

// How kubectl talks to the API server, and so to the kubelet: by the older or the newer protocol.
type transportKind string

const (
	spdyTransport      transportKind = "SPDY"
	webSocketTransport transportKind = "WebSocket"
)

var (
	transports = []transportKind{spdyTransport, webSocketTransport}
	clientOf   = &rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: true}} // a standalone kubelet's certificate is its own
)

type execResult struct {
	stdout, stderr string
	err            error
}

func (n *staticNode) exec(t *testing.T, kind transportKind, container string, command ...string) execResult {
	t.Helper()
	return n.execWith(t, kind, container, remotecommand.StreamOptions{}, command...)
}

// execWith runs a command with these streams; outputs that are not given are collected.
func (n *staticNode) execWith(t *testing.T, kind transportKind, container string, streams remotecommand.StreamOptions, command ...string) execResult {
	t.Helper()
	query := url.Values{"command": command, "output": {"1"}}
	if streams.Stdin != nil {
		query.Set("input", "1")
	}
	var stdout, stderr bytes.Buffer
	streams.Stdout = &stdout
	if streams.Tty {
		query.Set("tty", "1")
	} else {
		query.Set("error", "1")
		streams.Stderr = &stderr
	}
	target, err := url.Parse(address("/exec/default/" + webPodName + "/" + container + "?" + query.Encode()))
	await.Must(t, err)
	var executor remotecommand.Executor
	if kind == webSocketTransport {
		executor, err = remotecommand.NewWebSocketExecutor(clientOf, http.MethodGet, target.String())
	} else {
		executor, err = remotecommand.NewSPDYExecutor(clientOf, http.MethodPost, target)
	}
	await.Must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	err = executor.StreamWithContext(ctx, streams)
	return execResult{stdout.String(), stderr.String(), err}
}

func checkExec(t *testing.T, n *staticNode) {
	for _, kind := range transports {
		t.Run(string(kind), func(t *testing.T) {
			result := n.exec(t, kind, "web", "sh", "-c", "echo out; echo err >&2; exit 7")
			var exit utilexec.CodeExitError
			if result.stdout != "out\n" || result.stderr != "err\n" || !errors.As(result.err, &exit) || exit.Code != 7 {
				t.Errorf("outputs and exit code: %+v", result)
			}
			input := strings.Repeat("what is typed in comes out\n", 40_000)
			result = n.execWith(t, kind, "web", remotecommand.StreamOptions{Stdin: strings.NewReader(input)}, "cat")
			if result.err != nil || result.stdout != input {
				t.Errorf("%d bytes in, %d out: %v", len(input), len(result.stdout), result.err)
			}
			result = n.execWith(t, kind, "web", remotecommand.StreamOptions{Tty: true}, "tty")
			if !strings.HasPrefix(result.stdout, "/dev/pts/") {
				t.Errorf("terminal: %+v", result)
			}
			result = n.exec(t, kind, "web", "/no/such/program")
			if result.err == nil {
				t.Errorf("a program that is not there: %+v", result)
			}
		})
	}
}

func portForwardDialer(kind transportKind) (httpstream.Dialer, error) {
	target, err := url.Parse(address("/portForward/default/" + webPodName))
	if err != nil {
		return nil, err
	}
	if kind == webSocketTransport {
		return portforward.NewSPDYOverWebsocketDialer(target, clientOf)
	}
	transport, upgrader, err := spdy.RoundTripperFor(clientOf)
	if err != nil {
		return nil, err
	}
	return spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, target), nil
}

func checkPortForward(t *testing.T, n *staticNode) {
	for _, kind := range transports {
		t.Run(string(kind), func(t *testing.T) {
			dialer, err := portForwardDialer(kind)
			await.Must(t, err)
			stop, isReady := make(chan struct{}), make(chan struct{})
			forwarder, err := portforward.New(dialer, []string{fmt.Sprintf(":%d", webPort)}, stop, isReady, io.Discard, io.Discard)
			await.Must(t, err)
			ended := make(chan error, 1)
			go func() { ended <- forwarder.ForwardPorts() }()
			select {
			case <-isReady:
			case err := <-ended:
				t.Fatal("ForwardPorts:", err)
			}
			ports, err := forwarder.GetPorts()
			await.Must(t, err)
			checkPage(t, fmt.Sprintf("127.0.0.1:%d", ports[0].Local))
			close(stop)
			await.Must(t, <-ended)
		})
	}
	t.Run("FromTheNode", func(t *testing.T) { checkPage(t, podAddress(t, n)) })
}

func podAddress(t *testing.T, n *staticNode) string {
	status, err := n.status("web")
	await.Must(t, err)
	return net.JoinHostPort(status.Status.PodIP, fmt.Sprint(webPort))
}

func checkPage(t *testing.T, host string) {
	t.Helper()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + host + "/index.html")
	await.Must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	await.Must(t, err)
	if string(body) != "hello from the init container\n" {
		t.Errorf("page: %s %q", response.Status, body)
	}
}
