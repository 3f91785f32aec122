package kubeletclient

import (
	"context"
	"maps"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// One pod from RunPodSandbox to RemovePodSandbox in the order of the kubelet's pod worker, with
// what the worker looks at after each step.
func TestAPodLivesAsTheKubeletMakesIt(t *testing.T) {
	onEveryHandler(t, func(t *testing.T, handler string) {
		ctx := context.Background()
		p := newPod(t, handler)
		p.run()
		checkSandbox(t, p)

		main := p.create(p.containerConfig("main", "echo started; nc -ll -p 8080 -e /bin/true & "+sleeper))
		equal(t, "state once created", p.container(main).State, v1.ContainerState_CONTAINER_CREATED)
		succeed(t, "StartContainer", runtime.StartContainer(ctx, main))
		helper := p.start("helper", sleeper)
		checkContainer(t, p, main, handler)

		// postStart hook (no timeout), exec probe, TCP probe from the node.
		if _, _, err := runtime.ExecSync(ctx, main, []string{"/bin/true"}, 0); err != nil {
			t.Errorf("postStart: %v", err)
		}
		equal(t, "exec probe", p.exec(main, "cat", "/etc/hosts"), "127.0.0.1\tlocalhost\n")
		probe(t, p.status().Network.Ip)
		checkLists(t, p, handler, main, helper)

		stopAll(t, p, main, helper)
		for _, id := range []string{main, helper} {
			ended := p.container(id)
			equal(t, "state", ended.State, v1.ContainerState_CONTAINER_EXITED)
			equal(t, "exit code", ended.ExitCode, 0)
			equal(t, "reason", ended.Reason, "Completed")
			if ended.FinishedAt < ended.StartedAt || ended.StartedAt < ended.CreatedAt {
				t.Errorf("times run backwards: %d %d %d", ended.CreatedAt, ended.StartedAt, ended.FinishedAt)
			}
			removeAsTheKubeletDoes(t, p, id)
		}
		equal(t, "sandbox", p.status().State, v1.PodSandboxState_SANDBOX_NOTREADY)
		succeed(t, "RemovePodSandbox", runtime.RemovePodSandbox(ctx, p.id))
		if _, err := runtime.PodSandboxStatus(ctx, p.id, false); status.Code(err) != codes.NotFound {
			t.Errorf("PodSandboxStatus of a removed pod: %v", err)
		}
	})
}

// Where one of these differs the kubelet makes the sandbox anew.
func checkSandbox(t *testing.T, p *pod) {
	t.Helper()
	sandbox := p.status()
	equal(t, "state", sandbox.State, v1.PodSandboxState_SANDBOX_READY)
	equal(t, "uid", sandbox.Metadata.Uid, p.uid())
	equal(t, "handler", sandbox.RuntimeHandler, p.handler)
	options := sandbox.GetLinux().GetNamespaces().GetOptions()
	equal(t, "network namespace", options.GetNetwork(), v1.NamespaceMode_POD)
	equal(t, "pid namespace", options.GetPid(), v1.NamespaceMode_CONTAINER)
	if net.ParseIP(sandbox.GetNetwork().GetIp()) == nil {
		t.Errorf("network: %v has no address", sandbox.Network)
	}
	if !maps.Equal(sandbox.Labels, p.config.Labels) || !maps.Equal(sandbox.Annotations, p.config.Annotations) {
		t.Errorf("labels or annotations changed: %v %v", sandbox.Labels, sandbox.Annotations)
	}
}

func checkContainer(t *testing.T, p *pod, id, handler string) {
	t.Helper()
	got, config := p.container(id), p.containerConfig("main", "")
	equal(t, "state", got.State, v1.ContainerState_CONTAINER_RUNNING)
	equal(t, "image", got.Image.Image, imageName)
	equal(t, "image_id", got.ImageId, p.imageID())
	equal(t, "log_path", got.LogPath, p.config.LogDirectory+"/main/0.log")
	equal(t, "mounts", len(got.Mounts), len(config.Mounts))
	if got.User.GetLinux() == nil {
		t.Error("user.linux is missing")
	}
	if !maps.Equal(got.Labels, config.Labels) || !maps.Equal(got.Annotations, config.Annotations) {
		t.Errorf("labels or annotations changed: %v %v", got.Labels, got.Annotations)
	}
	if _, err := os.Stat(got.LogPath); err != nil {
		t.Errorf("the log: %v", err)
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	own := strings.TrimSpace(p.exec(id, "uname", "-r"))
	if (handler == "vm") == (own == strings.TrimSpace(string(release))) {
		t.Errorf("handler %s runs on kernel %s", handler, own)
	}
}

func probe(t *testing.T, ip string) {
	t.Helper()
	waitFor(t, "the TCP probe", func() bool {
		connection, err := net.DialTimeout("tcp", net.JoinHostPort(ip, "8080"), time.Second)
		if err == nil {
			connection.Close()
		}
		return err == nil
	})
}

// The filters of the relist, of the pod worker and of garbage collection.
func checkLists(t *testing.T, p *pod, handler, main, helper string) {
	t.Helper()
	ctx := context.Background()
	byPod := map[string]string{labelPodUID: p.uid()}
	sandboxes := must[[]*v1.PodSandbox](t, "ListPodSandbox")(
		runtime.ListPodSandbox(ctx, &v1.PodSandboxFilter{LabelSelector: byPod}))
	if len(sandboxes) != 1 || sandboxes[0].Id != p.id || sandboxes[0].RuntimeHandler != handler {
		t.Errorf("ListPodSandbox by label: %v", sandboxes)
	}
	running := &v1.ContainerStateValue{State: v1.ContainerState_CONTAINER_RUNNING}
	for what, filter := range map[string]*v1.ContainerFilter{
		"label": {LabelSelector: byPod, State: running},
		"pod":   {PodSandboxId: p.id},
	} {
		list := must[[]*v1.Container](t, "ListContainers")(runtime.ListContainers(ctx, filter))
		seen := map[string]bool{}
		for _, item := range list {
			seen[item.Id] = item.PodSandboxId == p.id && item.CreatedAt != 0 && item.ImageRef != ""
		}
		if len(list) != 2 || !seen[main] || !seen[helper] {
			t.Errorf("ListContainers by %s: %v", what, list)
		}
	}
}

// All containers at once, then the sandbox, twice: the kubelet repeats it.
func stopAll(t *testing.T, p *pod, containers ...string) {
	t.Helper()
	var stops sync.WaitGroup
	for _, id := range containers {
		stops.Go(func() {
			if err := runtime.StopContainer(context.Background(), id, 30); err != nil {
				t.Errorf("StopContainer: %v", err)
			}
		})
	}
	stops.Wait()
	for range 2 {
		succeed(t, "StopPodSandbox", runtime.StopPodSandbox(context.Background(), p.id))
	}
}

func removeAsTheKubeletDoes(t *testing.T, p *pod, id string) {
	t.Helper()
	ctx := context.Background()
	if log := p.container(id).LogPath; log == "" {
		t.Error("log_path is needed to delete logs")
	}
	succeed(t, "RemoveContainer", runtime.RemoveContainer(ctx, id))
	if _, err := runtime.ContainerStatus(ctx, id, false); status.Code(err) != codes.NotFound {
		t.Errorf("ContainerStatus of a removed container: %v", err)
	}
	succeed(t, "RemoveContainer again", runtime.RemoveContainer(ctx, id))
}

// Pod workers are independent of each other.
func TestPodsAreMadeAtOnce(t *testing.T) {
	onEveryHandler(t, func(t *testing.T, handler string) {
		pods := make([]*pod, map[string]int{"ns": 16, "vm": 4}[handler])
		for i := range pods {
			pods[i] = newPod(t, handler)
		}
		var workers sync.WaitGroup
		for _, p := range pods {
			workers.Go(func() {
				id, err := runtime.RunPodSandbox(context.Background(), p.config, handler)
				if err != nil {
					t.Errorf("RunPodSandbox: %v", err)
				}
				p.id = id
			})
		}
		workers.Wait()
		addresses := map[string]bool{}
		for _, p := range pods {
			if p.id != "" {
				addresses[p.status().Network.Ip] = true
			}
		}
		equal(t, "different addresses", len(addresses), len(pods))
	})
}
