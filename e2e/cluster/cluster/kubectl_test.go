package cluster

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/e2e/cluster/node"
)

// A pod whose first container says who it is and serves it.
const serverPod = `
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 2
  containers:
  - name: main
    image: $BUSYBOX
    stdin: true
    command: [sh, -c, 'mkdir /www; echo "I am $(hostname)" >/www/index.html; httpd -p 8080 -h /www; echo ready; while read line; do echo "read $line"; done; sleep 3600']
    readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
`

func TestKubectlExec(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.runPod("server", serverPod)
		stdout, stderr, code := s.withInput("", "exec", "server", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
		if stdout != "out\n" || !strings.HasPrefix(stderr, "err\n") || code != 7 {
			s.t.Errorf("stdout %q, stderr %q, exit code %d", stdout, stderr, code)
		}
		input := strings.Repeat("a line that goes in and comes out\n", 30_000)
		if stdout, _, code = s.withInput(input, "exec", "-i", "server", "--", "cat"); stdout != input || code != 0 {
			s.t.Errorf("%d bytes in, %d out, exit code %d", len(input), len(stdout), code)
		}
	})
}

func TestKubectlLogsAndAttach(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.runPod("server", serverPod)
		s.equal("log", s.kubectl("logs", "server"), "ready\n")
		attach := cluster.KubectlCommand("--namespace", s.name, "attach", "-i", "server")
		input, err := attach.StdinPipe()
		if err != nil {
			s.t.Fatal(err)
		}
		output, err := attach.StdoutPipe()
		if err != nil {
			s.t.Fatal(err)
		}
		if err := attach.Start(); err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = attach.Process.Kill(); _ = attach.Wait() }()
		fmt.Fprintln(input, "from outside")
		line, err := bufio.NewReader(output).ReadString('\n')
		if err != nil || line != "read from outside\n" {
			s.t.Errorf("attach: %q, %v", line, err)
		}
		s.eventually("what was attached is in the log", func() error {
			if log := s.kubectl("logs", "server", "--tail=1"); log != "read from outside\n" {
				return fmt.Errorf("%q", log)
			}
			return nil
		})
	})
}

func TestKubectlCopy(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.runPod("server", serverPod)
		folder := s.t.TempDir()
		content := strings.Repeat("0123456789abcdef", 1<<16)
		if err := os.WriteFile(filepath.Join(folder, "there"), []byte(content), 0o640); err != nil {
			s.t.Fatal(err)
		}
		s.kubectl("cp", filepath.Join(folder, "there"), "server:/tmp/there")
		s.kubectl("cp", "server:/tmp/there", filepath.Join(folder, "back"))
		if back, err := os.ReadFile(filepath.Join(folder, "back")); err != nil || string(back) != content {
			s.t.Errorf("%d bytes came back: %v", len(back), err)
		}
	})
}

func TestKubectlPortForward(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.runPod("server", serverPod)
		forward := cluster.KubectlCommand("--namespace", s.name, "port-forward", "pod/server", ":8080")
		output, err := forward.StdoutPipe()
		if err != nil {
			s.t.Fatal(err)
		}
		if err := forward.Start(); err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = forward.Process.Kill(); _ = forward.Wait() }()
		line, err := bufio.NewReader(output).ReadString('\n') // Forwarding from 127.0.0.1:PORT -> 8080
		if err != nil {
			s.t.Fatal(err)
		}
		host := strings.Fields(line)[2]
		for range 3 {
			s.equal("page", page(s, host), "I am server\n")
		}
	})
}

func page(s *space, host string) string {
	s.t.Helper()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + host + "/")
	if err != nil {
		s.t.Error(err)
		return ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

func TestKubectlDebug(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.runPod("server", serverPod)
		s.kubectl("debug", "server", "--image="+node.BusyboxImage, "--target=main", "--container=debugger", "--quiet",
			"--", "sh", "-c", "ps; sleep 600")
		s.eventually("the debug container sees the target's processes", func() error {
			if log := s.try("logs", "server", "--container=debugger"); !strings.Contains(log, "httpd -p 8080") {
				return fmt.Errorf("%q", log)
			}
			return nil
		})
	})
}

func TestNodeIsWhatTheRuntimeSays(t *testing.T) {
	s := newSpace(t, "ns")
	s.equal("runtime", strings.SplitN(s.field("node/node0", ".status.nodeInfo.containerRuntimeVersion"), ":", 2)[0], cluster.Runtime.Kind)
	handlers := s.field("node/node0", ".status.runtimeHandlers[*].name")
	for _, handler := range []string{"ns", "vm"} {
		if !strings.Contains(" "+handlers+" ", " "+handler+" ") {
			t.Errorf("handlers %q are without %s", handlers, handler)
		}
	}
}
