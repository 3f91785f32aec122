package node

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// ControlPlane is etcd, the API server, controllers, scheduler and kube-proxy.
type ControlPlane struct {
	world    *World
	folder   string
	programs []*Program // in the order of their start
}

const controlPlaneLimit = 3 * time.Minute

// StartControlPlane makes certificates and starts everything that the kubelet is not, from the folder
// of Kubernetes' programs. It returns once the API server is ready.
func (w *World) StartControlPlane(programs string) (*ControlPlane, error) {
	if err := w.makeCertificates(); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	plane := &ControlPlane{world: w, folder: programs}
	if err := plane.startAll(); err != nil {
		plane.Stop()
		return nil, err
	}
	return plane, nil
}

func (c *ControlPlane) startAll() error {
	etcd, err := c.start("etcd", "--data-dir="+c.world.path("etcd"), "--unsafe-no-fsync",
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380")
	if err != nil {
		return err
	}
	if err := etcd.waitUntil("healthy", controlPlaneLimit, func() error {
		return answersOK(http.DefaultClient, "http://127.0.0.1:2379/health")
	}); err != nil {
		return err
	}
	server, err := c.start("kube-apiserver", c.apiServerFlags()...)
	if err != nil {
		return err
	}
	if err := server.waitUntil("ready", controlPlaneLimit, c.ready); err != nil {
		return err
	}
	if _, err := c.start("kube-controller-manager", c.controllerManagerFlags()...); err != nil {
		return err
	}
	scheduler := c.world.Kubeconfig("scheduler")
	if _, err := c.start("kube-scheduler", "--kubeconfig="+scheduler, "--authentication-kubeconfig="+scheduler,
		"--authorization-kubeconfig="+scheduler, "--leader-elect=false"); err != nil {
		return err
	}
	return c.startProxy()
}

func (c *ControlPlane) start(program string, flags ...string) (*Program, error) {
	started, err := c.world.start(program, append([]string{filepath.Join(c.folder, program)}, flags...)...)
	if err == nil {
		c.programs = append(c.programs, started)
	}
	return started, err
}

func (c *ControlPlane) ready() error {
	pair, err := tls.LoadX509KeyPair(c.world.certificate("admin"), c.world.key("admin"))
	if err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // whether it is ready, nothing more
		Certificates:       []tls.Certificate{pair},
	}}
	defer transport.CloseIdleConnections()
	return answersOK(&http.Client{Transport: transport}, fmt.Sprintf("https://%s:%d/readyz", Address, apiPort))
}

func (c *ControlPlane) apiServerFlags() []string {
	certificate, key := c.world.certificate, c.world.key
	return []string{
		"--etcd-servers=http://127.0.0.1:2379",
		fmt.Sprintf("--secure-port=%d", apiPort),
		"--advertise-address=" + Address,
		"--service-cluster-ip-range=" + servicesV4,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--client-ca-file=" + certificate("ca"),
		"--tls-cert-file=" + certificate("apiserver"), "--tls-private-key-file=" + key("apiserver"),
		"--kubelet-certificate-authority=" + certificate("ca"),
		"--kubelet-client-certificate=" + certificate("apiserver-kubelet"), "--kubelet-client-key=" + key("apiserver-kubelet"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + certificate("service-accounts"),
		"--service-account-signing-key-file=" + key("service-accounts"),
		"--requestheader-client-ca-file=" + certificate("front-proxy-ca"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + certificate("front-proxy"), "--proxy-client-key-file=" + key("front-proxy"),
		"--cert-dir=" + c.world.path("pki"),
	}
}

func (c *ControlPlane) controllerManagerFlags() []string {
	kubeconfig := c.world.Kubeconfig("controller-manager")
	return []string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.world.key("service-accounts"),
		"--root-ca-file=" + c.world.certificate("ca"),
		"--cluster-signing-cert-file=" + c.world.certificate("ca"), "--cluster-signing-key-file=" + c.world.key("ca"),
		"--controllers=*,bootstrap-signer-controller,token-cleaner-controller",
		"--cert-dir=" + c.world.path("pki"),
	}
}

func (c *ControlPlane) startProxy() error {
	file := c.world.path("kube-proxy.conf")
	text := fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
hostnameOverride: %s
clusterCIDR: %s
clientConnection: {kubeconfig: %s}
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s} # the machine's own stay
`, Name, podsV4, c.world.Kubeconfig("proxy"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	_, err := c.start("kube-proxy", "--config="+file)
	return err
}

// Stop ends everything, last started first.
func (c *ControlPlane) Stop() {
	for i := len(c.programs) - 1; i >= 0; i-- {
		_ = c.programs[i].Stop(20 * time.Second)
	}
}
