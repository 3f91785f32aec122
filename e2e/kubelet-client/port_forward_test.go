package kubeletclient

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

	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func dialer(t *testing.T, p *pod, webSocket bool) httpstream.Dialer {
	t.Helper()
	response := must[*v1.PortForwardResponse](t, "PortForward")(
		runtime.PortForward(context.Background(), &v1.PortForwardRequest{PodSandboxId: p.id}))
	address := must[*url.URL](t, "the URL")(url.Parse(response.Url))
	if webSocket {
		return must[httpstream.Dialer](t, "dialer")(
			portforward.NewSPDYOverWebsocketDialer(address, &rest.Config{}))
	}
	transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{})
	succeed(t, "transport", err)
	return spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", address)
}

// forward starts kubectl's port-forwarder and tells the local port, and how it ended.
func forward(t *testing.T, p *pod, webSocket bool, port int) (uint16, <-chan error) {
	t.Helper()
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder := must[*portforward.PortForwarder](t, "forwarder")(portforward.New(
		dialer(t, p, webSocket), []string{fmt.Sprintf(":%d", port)}, stop, ready, io.Discard, io.Discard))
	ended := make(chan error, 1)
	go func() {
		ended <- forwarder.ForwardPorts()
		close(ended)
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("ForwardPorts: %v", err)
	}
	t.Cleanup(func() {
		close(stop)
		for range ended {
		}
	})
	ports := must[[]portforward.ForwardedPort](t, "ports")(forwarder.GetPorts())
	return ports[0].Local, ended
}

func TestPortForwardReachesThePodsPorts(t *testing.T) {
	const size = 2_000_000
	onEveryHandler(t, func(t *testing.T, handler string) {
		p := runPod(t, handler)
		id := p.start("main", "echo ready; exec nc -ll -p 8080 -e cat")
		waitFor(t, "the server listens", func() bool { return strings.Contains(p.exec(id, "netstat", "-ltn"), ":8080") })
		for _, webSocket := range []bool{false, true} {
			t.Run(map[bool]string{false: "SPDY", true: "WebSocket"}[webSocket], func(t *testing.T) {
				local, _ := forward(t, p, webSocket, 8080)
				for range 3 { // connections of one session
					connection := must[net.Conn](t, "dial")(net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", local)))
					sent := bytes.Repeat([]byte("0123456789abcdef"), size/16)
					go func() {
						connection.Write(sent)
						connection.(*net.TCPConn).CloseWrite()
					}()
					got := must[[]byte](t, "read")(io.ReadAll(connection))
					connection.Close()
					if !bytes.Equal(got, sent) {
						t.Errorf("%d bytes of %d came back", len(got), len(sent))
					}
				}
				// What is told on the error stream makes client-go give up the whole session.
				closed, ended := forward(t, p, webSocket, 81)
				connection := must[net.Conn](t, "dial")(net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", closed)))
				if got, _ := io.ReadAll(connection); len(got) > 0 {
					t.Errorf("a closed port answers %q", got)
				}
				connection.Close()
				if err := <-ended; !errors.Is(err, portforward.ErrLostConnectionToPod) {
					t.Errorf("forwarding a closed port: %v", err)
				}
			})
		}
	})
}
