package kubeletclient

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The client asks for streamed lists and falls back for good at the first Unimplemented. Either way
// the answers are those of the plain calls.
func TestAClientThatPrefersStreamedListsSeesTheSame(t *testing.T) {
	ctx := context.Background()
	p := runPod(t, "ns")
	id := p.start("main", sleeper)
	streaming, streamingImages, err := connect(ctx, true)
	succeed(t, "connect", err)
	defer streaming.Close(ctx)
	defer streamingImages.Close(ctx)

	for range 2 { // the second time after the fall-back
		sandboxes := must[[]*v1.PodSandbox](t, "sandboxes")(streaming.ListPodSandbox(ctx, &v1.PodSandboxFilter{Id: p.id}))
		if len(sandboxes) != 1 || sandboxes[0].Id != p.id {
			t.Errorf("sandboxes: %v", sandboxes)
		}
		containers := must[[]*v1.Container](t, "containers")(streaming.ListContainers(ctx, &v1.ContainerFilter{Id: id}))
		if len(containers) != 1 || containers[0].Id != id {
			t.Errorf("containers: %v", containers)
		}
		stats := must[[]*v1.ContainerStats](t, "container stats")(
			streaming.ListContainerStats(ctx, &v1.ContainerStatsFilter{PodSandboxId: p.id}))
		equal(t, "container stats", len(stats), 1)
		podStats := must[[]*v1.PodSandboxStats](t, "pod stats")(
			streaming.ListPodSandboxStats(ctx, &v1.PodSandboxStatsFilter{Id: p.id}))
		equal(t, "pod stats", len(podStats), 1)
		equal(t, "pods with metrics", len(must[[]*v1.PodSandboxMetrics](t, "metrics")(streaming.ListPodSandboxMetrics(ctx))),
			len(must[[]*v1.PodSandboxMetrics](t, "metrics")(runtime.ListPodSandboxMetrics(ctx))))
		equal(t, "images", len(must[[]*v1.Image](t, "images")(streamingImages.ListImages(ctx, nil))),
			len(must[[]*v1.Image](t, "images")(images.ListImages(ctx, nil))))
	}
}

// Evented PLEG: with the events, a container's life is told; without, the code says so and the
// kubelet goes on listing.
func TestContainerEventsTellAContainersLifeOrAreUnimplemented(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := make(chan *v1.ContainerEventResponse, 100)
	ended := make(chan error, 1)
	go func() { ended <- runtime.GetContainerEvents(ctx, events, nil) }()
	select {
	case err := <-ended:
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("GetContainerEvents: %v", err)
		}
		return
	case <-time.After(2 * time.Second): // it is served
	}
	p := runPod(t, "ns")
	id := p.start("main", "exit 3")
	p.waitForExit(id)
	succeed(t, "RemoveContainer", runtime.RemoveContainer(ctx, id))
	wanted := []v1.ContainerEventType{v1.ContainerEventType_CONTAINER_CREATED_EVENT,
		v1.ContainerEventType_CONTAINER_STARTED_EVENT, v1.ContainerEventType_CONTAINER_STOPPED_EVENT,
		v1.ContainerEventType_CONTAINER_DELETED_EVENT}
	for len(wanted) > 0 {
		select {
		case event := <-events:
			if event.ContainerId != id {
				continue // the sandbox's own
			}
			equal(t, "event", event.ContainerEventType, wanted[0])
			equal(t, "pod", event.GetPodSandboxStatus().GetMetadata().GetUid(), p.uid())
			wanted = wanted[1:]
		case <-time.After(patience):
			t.Fatalf("no event %s", wanted[0])
		}
	}
}
