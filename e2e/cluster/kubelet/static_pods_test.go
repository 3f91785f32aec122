package kubelet

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"catamaran/e2e/cluster/await"
)

const webPodName = "web-node0"

// One pod's life under the real kubelet, then what must not disturb it, then its end.
func TestStaticPods(t *testing.T) {
	onEveryHandler(t, func(t *testing.T, n *staticNode) {
		pod := webPod()
		n.run(t, pod)
		t.Run("Status", func(t *testing.T) { checkStatus(t, n, pod) })
		t.Run("Logs", func(t *testing.T) { checkLogs(t, n) })
		t.Run("RotatedLogs", func(t *testing.T) { checkRotation(t, n) })
		t.Run("Exec", func(t *testing.T) { checkExec(t, n) })
		t.Run("PortForward", func(t *testing.T) { checkPortForward(t, n) })
		t.Run("Stats", func(t *testing.T) { checkStats(t, n) })
		t.Run("KubeletRestarts", func(t *testing.T) { checkUndisturbed(t, n, pod, n.restartKubelet) })
		t.Run("RuntimeIsKilled", func(t *testing.T) { checkUndisturbed(t, n, pod, n.killRuntime) })
		t.Run("LivenessProbe", func(t *testing.T) { checkRestart(t, n, pod) })
		n.remove(t, pod)
		n.checkNothingIsLeft(t)
	})
}

func checkStatus(t *testing.T, n *staticNode, pod *corev1.Pod) {
	status, err := n.status(pod.Name)
	await.Must(t, err)
	if net.ParseIP(status.Status.PodIP) == nil || len(status.Status.PodIPs) == 0 {
		t.Errorf("pod IP %q, IPs %v", status.Status.PodIP, status.Status.PodIPs)
	}
	if status.Status.QOSClass != corev1.PodQOSBurstable {
		t.Errorf("QoS class %s", status.Status.QOSClass)
	}
	web := container(t, status, "web")
	if web.Resources == nil || web.Resources.Limits.Memory().String() != "64Mi" {
		t.Errorf("resources of the running container: %v", web.Resources)
	}
	if first := status.Status.InitContainerStatuses[0]; first.State.Terminated == nil || first.State.Terminated.Reason != "Completed" {
		t.Errorf("first init container: %v", first.State)
	}
}

func checkLogs(t *testing.T, n *staticNode) {
	await.Until(t, "the web container's first line", func() error {
		log, err := n.get("/containerLogs/default/" + webPodName + "/web?timestamps=true")
		if err == nil && !strings.Contains(string(log), " serving\n") {
			err = fmt.Errorf("log: %q", log)
		}
		return err
	})
	log, err := n.get("/containerLogs/default/" + webPodName + "/other?tailLines=1")
	await.Must(t, err)
	if lines := strings.Count(string(log), "\n"); lines != 1 {
		t.Errorf("%d lines where one was asked for: %q", lines, log)
	}
}

// The kubelet moves a log of more than 64 KiB away and has the runtime open a new one.
func checkRotation(t *testing.T, n *staticNode) {
	result := n.exec(t, spdyTransport, "other", "sh", "-c", "yes 0123456789012345678901234567890 | head -n 4000 >/proc/1/fd/1")
	if result.err != nil {
		t.Fatal(result.err, result.stderr)
	}
	await.Until(t, "the log is rotated and goes on", func() error {
		log, err := n.get("/containerLogs/default/" + webPodName + "/other")
		if err == nil && (len(log) > 64<<10 || len(log) == 0) {
			err = fmt.Errorf("%d bytes", len(log))
		}
		return err
	})
}

func checkStats(t *testing.T, n *staticNode) {
	await.Until(t, "the summary has the pod with its use", func() error {
		body, err := n.get("/stats/summary")
		if err != nil {
			return err
		}
		return checkSummary(body)
	})
	body, err := n.get("/metrics/cadvisor")
	await.Must(t, err)
	for _, family := range []string{"container_cpu_usage_seconds_total{", "container_memory_working_set_bytes{", "container_network_receive_bytes_total{"} {
		if !strings.Contains(string(body), family) {
			t.Errorf("/metrics/cadvisor has no %s…}", family)
		}
	}
}

func checkSummary(body []byte) error {
	type usage struct {
		UsageNanoCores *uint64 `json:"usageNanoCores"`
	}
	var summary struct {
		Pods []struct {
			PodRef     struct{ Name string }
			CPU        usage
			Network    *struct{ RxBytes *uint64 }
			Containers []struct {
				Name   string
				Memory struct{ WorkingSetBytes *uint64 }
				Rootfs struct{ UsedBytes *uint64 }
			}
		}
	}
	if err := json.Unmarshal(body, &summary); err != nil {
		return err
	}
	for _, pod := range summary.Pods {
		if pod.PodRef.Name != webPodName {
			continue
		}
		if pod.CPU.UsageNanoCores == nil || pod.Network == nil || pod.Network.RxBytes == nil {
			return fmt.Errorf("without cpu or network: %s", body)
		}
		for _, container := range pod.Containers {
			if container.Memory.WorkingSetBytes == nil || container.Rootfs.UsedBytes == nil {
				return fmt.Errorf("container %s without memory or rootfs: %s", container.Name, body)
			}
		}
		if len(pod.Containers) < 3 {
			return fmt.Errorf("%d containers of 3: %s", len(pod.Containers), body)
		}
		return nil
	}
	return fmt.Errorf("no pod: %s", body)
}

func (n *staticNode) restartKubelet(t *testing.T) {
	await.Must(t, n.kubelet.Stop())
	await.Must(t, n.kubelet.Start())
}

func (n *staticNode) killRuntime(t *testing.T) {
	n.runtime.Kill()
	await.Must(t, n.runtime.Start())
}

// checkUndisturbed sees the same containers run on after the disturbance, and that they can be used.
func checkUndisturbed(t *testing.T, n *staticNode, pod *corev1.Pod, disturb func(*testing.T)) {
	before, err := n.status(pod.Name)
	await.Must(t, err)
	disturb(t)
	await.Until(t, "the pod is ready again", func() error { return ready(n.status(pod.Name)) })
	after, err := n.status(pod.Name)
	await.Must(t, err)
	for _, name := range []string{"web", "other"} {
		was, is := container(t, before, name), container(t, after, name)
		if was.ContainerID != is.ContainerID || was.RestartCount != is.RestartCount {
			t.Errorf("container %s was %s (%d restarts) and is %s (%d)", name, was.ContainerID, was.RestartCount, is.ContainerID, is.RestartCount)
		}
	}
	if was, is := before.Status.PodIP, after.Status.PodIP; was != is {
		t.Errorf("pod IP was %s and is %s", was, is)
	}
	// Not at once: a kubelet whose runtime was away tries to reach it again after a moment.
	await.Until(t, "exec works again", func() error {
		result := n.exec(t, spdyTransport, "web", "echo", "still here")
		if result.err == nil && result.stdout != "still here\n" {
			result.err = fmt.Errorf("%q", result.stdout)
		}
		return result.err
	})
}

// What the liveness probe looks for goes away, and the kubelet ends the container and starts it again.
func checkRestart(t *testing.T, n *staticNode, pod *corev1.Pod) {
	before, err := n.status(pod.Name)
	await.Must(t, err)
	restarts := container(t, before, "web").RestartCount
	await.Must(t, n.exec(t, spdyTransport, "other", "rm", "/data/sidecar").err)
	await.Until(t, "the kubelet starts the container again", func() error {
		status, err := n.status(pod.Name)
		if err == nil && container(t, status, "web").RestartCount <= restarts {
			err = fmt.Errorf("restarted %d times", restarts)
		}
		return err
	})
	await.Must(t, n.exec(t, spdyTransport, "other", "touch", "/data/sidecar").err)
	await.Until(t, "the pod is ready again", func() error { return ready(n.status(pod.Name)) })
}

// checkNothingIsLeft looks at the node from below the kubelet: no group of a pod, no process.
func (n *staticNode) checkNothingIsLeft(t *testing.T) {
	await.Until(t, "no group of a pod is left", func() error {
		for _, group := range world.Groups() {
			if strings.Contains(group, "/pod") || strings.Contains(group, "-pod") { // the latter: systemd's slices
				return fmt.Errorf("%s", group)
			}
		}
		return nil
	})
	await.Until(t, "the runtime has no pod", func() error { return n.runtime.HasNoPods() })
}
