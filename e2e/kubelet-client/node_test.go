package kubeletclient

import (
	"context"
	"os"
	"slices"
	"testing"

	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// What the kubelet asks before its node comes up, in its order; any failure keeps the node down.
func TestTheNodeComesUp(t *testing.T) {
	ctx := context.Background()
	must[*v1.VersionResponse](t, "Version")(runtime.Version(ctx, ""))
	version := must[*v1.VersionResponse](t, "Version 0.1.0")(runtime.Version(ctx, "0.1.0"))
	equal(t, "version", version.Version, "0.1.0") // another, and the kubelet exits
	equal(t, "runtime", version.RuntimeName, "catamaran")

	// The kubelet dereferences used_bytes and calls statfs on the mount point.
	info := must[*v1.ImageFsInfoResponse](t, "ImageFsInfo")(images.ImageFsInfo(ctx))
	if len(info.ImageFilesystems) == 0 || info.ImageFilesystems[0].UsedBytes == nil {
		t.Fatalf("ImageFsInfo: no file system with used_bytes: %v", info)
	}
	if stat, err := os.Stat(info.ImageFilesystems[0].FsId.Mountpoint); err != nil || !stat.IsDir() {
		t.Errorf("ImageFsInfo: the mount point is no folder: %v", err)
	}
	for range 3 { // as often as the kubelet of 1.37
		config := must[*v1.RuntimeConfigResponse](t, "RuntimeConfig")(runtime.RuntimeConfig(ctx))
		equal(t, "cgroup driver", config.Linux.CgroupDriver, v1.CgroupDriver_CGROUPFS)
	}
	must[[]*v1.Image](t, "ListImages")(images.ListImages(ctx, nil))
	must[[]*v1.Container](t, "ListContainers")(runtime.ListContainers(ctx, &v1.ContainerFilter{}))
	must[[]*v1.PodSandbox](t, "ListPodSandbox")(runtime.ListPodSandbox(ctx, &v1.PodSandboxFilter{}))
}

func TestTheNodeIsReadyAndNamesItsHandlers(t *testing.T) {
	response := must[*v1.StatusResponse](t, "Status")(runtime.Status(context.Background(), false))
	for _, wanted := range []string{"RuntimeReady", "NetworkReady"} {
		if !slices.ContainsFunc(response.Status.Conditions, func(c *v1.RuntimeCondition) bool {
			return c.Type == wanted && c.Status
		}) {
			t.Errorf("condition %s is not true: %v", wanted, response.Status.Conditions)
		}
	}
	for _, wanted := range append([]string{""}, handlers...) {
		at := slices.IndexFunc(response.RuntimeHandlers, func(h *v1.RuntimeHandler) bool { return h.Name == wanted })
		if at < 0 {
			t.Errorf("handler %q is missing: %v", wanted, response.RuntimeHandlers)
		} else if response.RuntimeHandlers[at].Features == nil {
			t.Errorf("handler %q has no features: the kubelet would use none", wanted)
		}
	}
	if response.Features == nil || !response.Features.SupplementalGroupsPolicy {
		t.Errorf("features: %v: pods with a policy for supplemental groups would be refused", response.Features)
	}
}

func TestImagesAreFoundByNameAndByID(t *testing.T) {
	ctx := context.Background()
	list := must[[]*v1.Image](t, "ListImages")(images.ListImages(ctx, nil))
	at := slices.IndexFunc(list, func(i *v1.Image) bool { return slices.Contains(i.RepoTags, imageName) })
	if at < 0 {
		t.Fatalf("ListImages: %s is missing: %v", imageName, list)
	}
	for _, name := range []string{imageName, "busybox:1", list[at].Id} {
		status := must[*v1.ImageStatusResponse](t, "ImageStatus "+name)(
			images.ImageStatus(ctx, &v1.ImageSpec{Image: name, Annotations: map[string]string{"of": "the pod"}}, false))
		if status.Image == nil {
			t.Errorf("ImageStatus %s: not found", name)
			continue
		}
		equal(t, "id", status.Image.Id, list[at].Id)
		if status.Image.Size == 0 {
			t.Error("ImageStatus: size 0, which the client refuses")
		}
	}
	// An absent image is an answer, not an error: that is when the kubelet pulls.
	absent := must[*v1.ImageStatusResponse](t, "ImageStatus of an absent image")(
		images.ImageStatus(ctx, &v1.ImageSpec{Image: "registry.example/absent:1"}, false))
	if absent.Image != nil {
		t.Errorf("an absent image is said to be there: %v", absent.Image)
	}
	succeed(t, "RemoveImage of an absent image", images.RemoveImage(ctx, &v1.ImageSpec{Image: "registry.example/absent:1"}))
}
