package kubeletclient

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corelogs "k8s.io/cri-client/pkg/logs"
)

// readLog is `kubectl logs`: the kubelet's own reader on the container's file.
func (p *pod) readLog(id string, options *corelogs.LogOptions) (stdout, stderr string) {
	p.t.Helper()
	var out, errout bytes.Buffer
	succeed(p.t, "ReadLogs", corelogs.ReadLogs(context.Background(), p.container(id).LogPath, id, options,
		runtime, &out, &errout))
	return out.String(), errout.String()
}

func TestTheKubeletReadsTheLogs(t *testing.T) {
	onEveryHandler(t, func(t *testing.T, handler string) {
		p := runPod(t, handler)
		long := 50000 // more than one record holds
		id := p.start("main", fmt.Sprintf(
			"echo one; echo error >&2; head -c %d /dev/zero | tr '\\0' x; echo; echo; printf 'no newline'", long))
		p.waitForExit(id)

		out, errout := p.readLog(id, &corelogs.LogOptions{})
		equal(t, "stderr", errout, "error\n")
		want := "one\n" + strings.Repeat("x", long) + "\n\nno newline"
		if strings.TrimSuffix(out, "\n") != want {
			t.Errorf("stdout: %d bytes, want %d: %.60q...", len(out), len(want), out)
		}
		two := int64(2)
		tail, _ := p.readLog(id, &corelogs.LogOptions{TailLines: &two})
		equal(t, "the last two lines", strings.TrimSuffix(tail, "\n"), "\nno newline")

		stamped, _ := p.readLog(id, &corelogs.LogOptions{Timestamp: true})
		first, _, _ := strings.Cut(stamped, " ")
		if _, err := time.Parse(time.RFC3339Nano, first); err != nil {
			t.Errorf("timestamp: %v", err)
		}
		later, _ := p.readLog(id, &corelogs.LogOptions{Since: time.Now()})
		equal(t, "lines after the end", later, "")
	})
}

// The kubelet rotates: it renames the file and asks for a new one, while a reader follows.
func TestAReaderFollowsThroughARotation(t *testing.T) {
	onEveryHandler(t, func(t *testing.T, handler string) {
		ctx := context.Background()
		p := runPod(t, handler)
		// One line for each that comes in: the test decides when.
		const lines = 40
		id := p.start("main", "mkfifo /tmp/go; i=0; exec 3<>/tmp/go; while read -r word <&3; do "+
			"[ $word = end ] && exit 0; i=$((i+1)); echo line $i; done")
		path := p.container(id).LogPath

		var out bytes.Buffer
		followed := make(chan error, 1)
		go func() {
			followed <- corelogs.ReadLogs(ctx, path, id, &corelogs.LogOptions{Follow: true}, runtime, &out, &out)
		}()
		waitFor(t, "the fifo", func() bool {
			_, _, err := runtime.ExecSync(ctx, id, []string{"/bin/test", "-p", "/tmp/go"}, time.Minute)
			return err == nil
		})
		for i := 1; i <= lines; i++ {
			p.exec(id, "/bin/sh", "-c", "echo next >/tmp/go")
			if i == lines/2 {
				rotate(t, path, id, i)
			}
		}
		// Its own process 1 may be gone before it is.
		_, _, _ = runtime.ExecSync(ctx, id, []string{"/bin/sh", "-c", "echo end >/tmp/go"}, time.Minute)
		p.waitForExit(id)
		select {
		case err := <-followed:
			succeed(t, "ReadLogs", err)
		case <-time.After(patience):
			t.Fatal("the reader does not notice the container's end")
		}
		var want strings.Builder
		for i := 1; i <= lines; i++ {
			fmt.Fprintf(&want, "line %d\n", i)
		}
		equal(t, "what was followed", out.String(), want.String())
	})
}

func rotate(t *testing.T, path, id string, lines int) {
	t.Helper()
	old := path + ".20261101-000000"
	waitFor(t, "the lines so far", func() bool {
		content, _ := os.ReadFile(path)
		return strings.Count(string(content), "\n") == lines
	})
	succeed(t, "rename", os.Rename(path, old))
	succeed(t, "ReopenContainerLog", runtime.ReopenContainerLog(context.Background(), id))
	if _, err := os.Stat(path); err != nil {
		t.Errorf("there is no new log: %v", err)
	}
}
