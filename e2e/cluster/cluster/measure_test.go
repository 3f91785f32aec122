package cluster

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"catamaran/e2e/cluster/await"
	"catamaran/e2e/cluster/node"
)

// How long it takes from a pod's creation until the API server says that it is Ready: figures, no
// judgement, so only where they are asked for. For comparison run it with CATAMARAN_RUNTIME=containerd.
func TestMeasurePodToReady(t *testing.T) {
	if os.Getenv("CATAMARAN_MEASURE") == "" {
		t.Skip("takes minutes of a quiet machine: set CATAMARAN_MEASURE=1")
	}
	handlers := []string{"ns", "vm"}
	if cluster.Runtime.Kind == "containerd" {
		handlers = handlers[:1] // both are runc
	}
	for _, handler := range handlers {
		t.Run(handler, func(t *testing.T) {
			s := newSpace(t, handler)
			m := newMeasurement(s)
			m.readyAfter("warm-up", 1)
			var one []time.Duration
			for i := range 20 {
				one = append(one, m.readyAfter(fmt.Sprintf("one-%d", i), 1)...)
			}
			report(t, cluster.Runtime.Kind, handler, "one after another", one)
			report(t, cluster.Runtime.Kind, handler, "20 at once", m.readyAfter("all", 20))
		})
	}
}

func report(t *testing.T, kind, handler, what string, times []time.Duration) {
	slices.Sort(times)
	t.Logf("%s %s, %s, of %d pods in s: first %.2f, median %.2f, last %.2f", kind, handler, what, len(times),
		times[0].Seconds(), times[len(times)/2].Seconds(), times[len(times)-1].Seconds())
}

type measurement struct {
	*space
	client kubernetes.Interface
}

func newMeasurement(s *space) *measurement {
	config, err := clientcmd.BuildConfigFromFlags("", cluster.World.Kubeconfig("admin"))
	await.Must(s.t, err)
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	await.Must(s.t, err)
	return &measurement{s, client}
}

// readyAfter makes so many pods at once, says when each was Ready, and removes them again.
func (m *measurement) readyAfter(name string, count int) []time.Duration {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	pods := m.client.CoreV1().Pods(m.name)
	selector := meta.ListOptions{LabelSelector: "round=" + name}
	watcher, err := pods.Watch(ctx, selector)
	await.Must(m.t, err)
	defer watcher.Stop()
	start := time.Now()
	for i := range count {
		_, err := pods.Create(ctx, m.pod(fmt.Sprintf("%s-%d", name, i), name), meta.CreateOptions{})
		await.Must(m.t, err)
	}
	after := map[string]time.Duration{}
	for len(after) < count {
		event, open := <-watcher.ResultChan()
		if !open {
			m.t.Fatalf("%d of %d pods are ready after %s", len(after), count, time.Since(start))
		}
		pod, isPod := event.Object.(*core.Pod)
		if _, known := after[pod.GetName()]; isPod && !known && event.Type == watch.Modified && isReady(pod) {
			after[pod.Name] = time.Since(start)
		}
	}
	m.kubectl("delete", "pods", "--selector=round="+name, "--wait", kubectlPatience)
	var times []time.Duration
	for _, each := range after {
		times = append(times, each)
	}
	return times
}

func isReady(pod *core.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(condition core.PodCondition) bool {
		return condition.Type == core.PodReady && condition.Status == core.ConditionTrue
	})
}

func (m *measurement) pod(name, round string) *core.Pod {
	class, grace := "catamaran-"+m.handler, int64(1)
	return &core.Pod{
		ObjectMeta: meta.ObjectMeta{Name: name, Labels: map[string]string{"round": round}},
		Spec: core.PodSpec{
			RuntimeClassName: &class, TerminationGracePeriodSeconds: &grace,
			Containers: []core.Container{{Name: "main", Image: node.BusyboxImage, Command: []string{"sleep", "3600"}}},
		},
	}
}
