package kubelet

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"catamaran/e2e/cluster/await"
	"catamaran/e2e/cluster/node"
)

const webPort = 8080

// webPod has what a kubelet does for a pod: an init container, two containers that share a volume, a
// probe of each kind, hooks and limits.
func webPod() *corev1.Pod {
	shared := []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	limits := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("64Mi")}
	always := corev1.ContainerRestartPolicyAlways
	grace := int64(5)
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "5a7c0b9e-0000-4000-8000-00000000feed"},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			Volumes:                       []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
			InitContainers: []corev1.Container{
				shell("first", "echo hello from the init container >/data/index.html", shared),
				func() corev1.Container { // a sidecar: runs before, beside and after the others
					sidecar := shell("sidecar", "touch /data/sidecar; trap 'exit 0' TERM; while :; do sleep 1; done", shared)
					sidecar.RestartPolicy = &always
					return sidecar
				}(),
			},
			Containers: []corev1.Container{
				func() corev1.Container {
					web := shell("web", fmt.Sprintf("echo serving; exec httpd -f -v -p %d -h /data", webPort), shared)
					web.Resources.Limits = limits
					web.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
						TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(webPort)}}, PeriodSeconds: 1, FailureThreshold: 120}
					web.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
						HTTPGet: &corev1.HTTPGetAction{Path: "/index.html", Port: intstr.FromInt32(webPort)}}, PeriodSeconds: 1}
					web.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
						Exec: &corev1.ExecAction{Command: []string{"test", "-f", "/data/sidecar"}}}, PeriodSeconds: 2, TimeoutSeconds: 20}
					return web
				}(),
				func() corev1.Container {
					other := shell("other", "trap 'exit 0' TERM; while :; do date; sleep 1; done", shared)
					other.Lifecycle = &corev1.Lifecycle{
						PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"touch", "/data/started"}}},
						PreStop:   &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"touch", "/data/stopping"}}},
					}
					return other
				}(),
			},
		},
	}
}

func shell(name, script string, mounts []corev1.VolumeMount) corev1.Container {
	return corev1.Container{Name: name, Image: node.BusyboxImage, ImagePullPolicy: corev1.PullIfNotPresent,
		Command: []string{"sh", "-c", script}, VolumeMounts: mounts}
}

// run makes it a static pod and waits until it is ready; stopped tells the kubelet to end it.
func (n *staticNode) run(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	text, err := json.Marshal(pod)
	await.Must(t, err)
	await.Must(t, os.WriteFile(n.manifest(pod), text, 0o644))
	await.Until(t, "pod "+pod.Name+" is ready", func() error { return ready(n.status(pod.Name)) })
}

func (n *staticNode) manifest(pod *corev1.Pod) string {
	return filepath.Join(n.kubelet.StaticPods(), pod.Name+".json")
}

// remove takes the manifest away and waits until runtime and kubelet know nothing of the pod.
func (n *staticNode) remove(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	await.Must(t, os.Remove(n.manifest(pod)))
	await.Until(t, "pod "+pod.Name+" is gone", func() error {
		if found, err := n.status(pod.Name); err != nil || found != nil {
			return fmt.Errorf("the kubelet still has it: %v", err)
		}
		return nil
	})
}

// status is what the kubelet says of a pod; nil where it has none of that name.
func (n *staticNode) status(name string) (*corev1.Pod, error) {
	body, err := n.get("/pods")
	if err != nil {
		return nil, err
	}
	var pods corev1.PodList
	if err := json.Unmarshal(body, &pods); err != nil {
		return nil, err
	}
	for i := range pods.Items {
		if pods.Items[i].Name == name+"-"+node.Name {
			return &pods.Items[i], nil
		}
	}
	return nil, nil
}

func ready(pod *corev1.Pod, err error) error {
	if err != nil {
		return err
	}
	if pod == nil {
		return fmt.Errorf("the kubelet has not seen it")
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	text, _ := json.Marshal(pod.Status)
	return fmt.Errorf("%s", text)
}

func address(path string) string {
	return fmt.Sprintf("https://127.0.0.1:%d%s", node.KubeletPort, path)
}

func (n *staticNode) get(path string) ([]byte, error) {
	response, err := n.kubelet.Client().Get(address(path))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != 200 {
		err = fmt.Errorf("%s: %s: %s", path, response.Status, body)
	}
	return body, err
}

// container is that of the name in a pod's status.
func container(t *testing.T, pod *corev1.Pod, name string) corev1.ContainerStatus {
	t.Helper()
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == name {
			return status
		}
	}
	t.Fatalf("pod %s has no container %s", pod.Name, name)
	return corev1.ContainerStatus{}
}
