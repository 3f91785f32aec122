package node

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// ClusterOptions are what differs between clusters.
type ClusterOptions struct {
	Runtime    RuntimeOptions
	Kubernetes string // the folder of Kubernetes' programs
	Gates      map[string]bool
}

// Cluster is one node with its control plane.
type Cluster struct {
	World   *World
	Runtime *Runtime
	Kubelet *Kubelet
	Plane   *ControlPlane
	options ClusterOptions
}

// StartCluster starts everything and returns once the node is ready; what was started is stopped again
// where it fails.
func (w *World) StartCluster(options ClusterOptions) (*Cluster, error) {
	cluster := &Cluster{World: w, options: options}
	if err := cluster.startAll(); err != nil {
		cluster.Stop()
		return nil, err
	}
	return cluster, nil
}

func (c *Cluster) startAll() error {
	var err error
	if c.Runtime, err = c.World.StartRuntime(c.options.Runtime); err != nil {
		return err
	}
	if err = c.World.LoadTestImages(c.Runtime, c.options.Kubernetes); err != nil {
		return err
	}
	if c.Plane, err = c.World.StartControlPlane(c.options.Kubernetes); err != nil {
		return err
	}
	if c.Kubelet, err = c.World.StartKubelet(c.Runtime, KubeletOptions{
		Programs: c.options.Kubernetes, Gates: c.options.Gates}); err != nil {
		return err
	}
	return c.Kubelet.program.waitUntil("ready as a node", kubeletLimit, func() error {
		_, err := c.Kubectl("wait", "--for=condition=Ready", "--timeout=1s", "node/"+Name)
		return err
	})
}

// Kubectl runs kubectl as the cluster's administrator and returns what it printed.
func (c *Cluster) Kubectl(arguments ...string) (string, error) {
	command := c.KubectlCommand(arguments...)
	output, err := command.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %v: %w: %s", arguments, err, output)
	}
	return string(output), err
}

// KubectlCommand is the command that Kubectl runs, for callers with streams of their own.
func (c *Cluster) KubectlCommand(arguments ...string) *exec.Cmd {
	command := exec.Command(c.options.Kubernetes+"/kubectl", arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.World.Kubeconfig("admin"))
	return command
}

// The handlers of pods by RuntimeClass, with what a VM costs beside its containers; as manifests/ has
// them, without a choice of nodes.
const runtimeClasses = `
{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: catamaran-ns}, handler: ns}
---
{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: catamaran-vm}, handler: vm, overhead: {podFixed: {memory: 128Mi}}}
---
{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: catamaran-vm-6-12}, handler: vm-6-12, overhead: {podFixed: {memory: 128Mi}}}
`

// ApplyRuntimeClasses makes catamaran-ns, catamaran-vm and catamaran-vm-6-12 known to the cluster.
func (c *Cluster) ApplyRuntimeClasses() error { return c.Apply(runtimeClasses) }

// Apply is kubectl apply of this YAML.
func (c *Cluster) Apply(manifest string) error {
	command := c.KubectlCommand("apply", "-f", "-")
	command.Stdin = strings.NewReader(manifest)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl apply: %w: %s", err, output)
	}
	return nil
}

// Stop ends every program; pods that are left die with the world.
func (c *Cluster) Stop() {
	if c.Kubelet != nil && c.Kubelet.program != nil {
		_ = c.Kubelet.Stop()
	}
	if c.Plane != nil {
		c.Plane.Stop()
	}
	if c.Runtime != nil && c.Runtime.program != nil {
		_ = c.Runtime.program.Stop(30 * time.Second)
	}
}
