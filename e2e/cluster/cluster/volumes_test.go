package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/e2e/cluster/await"
)

func TestConfigMapsAndSecretsChangeUnderAPod(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.kubectl("create", "configmap", "settings", "--from-literal=key=old")
		s.kubectl("create", "secret", "generic", "secret", "--from-literal=word=old")
		s.runPod("reader", `
apiVersion: v1
kind: Pod
metadata: {name: reader, annotations: {said: before}}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 1
  volumes:
  - {name: settings, configMap: {name: settings}}
  - {name: secret, secret: {secretName: secret, defaultMode: 0400}}
  - name: all
    projected:
      sources:
      - serviceAccountToken: {path: token, expirationSeconds: 600, audience: test}
      - downwardAPI: {items: [{path: annotations, fieldRef: {fieldPath: metadata.annotations}}]}
  containers:
  - name: main
    image: $BUSYBOX
    command: [sleep, "3600"]
    env: [{name: KEY, valueFrom: {configMapKeyRef: {name: settings, key: key}}}]
    volumeMounts:
    - {name: settings, mountPath: /settings}
    - {name: secret, mountPath: /secret}
    - {name: all, mountPath: /all}
`)
		s.equal("read", s.sh("reader", "echo $KEY $(cat /settings/key /secret/word)"), "old oldold\n")
		s.equal("mode", s.sh("reader", "stat -Lc %a /secret/word"), "400\n")
		if token := s.sh("reader", "cat /all/token"); strings.Count(token, ".") != 2 {
			s.t.Errorf("token: %q", token)
		}
		s.kubectl("patch", "configmap", "settings", "-p", `{"data": {"key": "new"}}`)
		s.kubectl("patch", "secret", "secret", "-p", `{"stringData": {"word": "new"}}`)
		// The kubelet looks at volumes again as it syncs the pod, which a change of the pod hastens.
		s.kubectl("annotate", "pod", "reader", "--overwrite", "said=after")
		s.eventually("the running container sees the new words", func() error {
			if now := s.sh("reader", "cat /settings/key /secret/word; grep ^said /all/annotations"); now != "newnewsaid=\"after\"\n" {
				return fmt.Errorf("%q", now)
			}
			return nil
		})
	})
}

// A kubelet that starts anew has no token kept and asks for one, as it does when eight tenths of a token's
// time are over; the running container must see it.
func TestATokenIsRenewedUnderAPod(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		s.runPod("holder", `
apiVersion: v1
kind: Pod
metadata: {name: holder}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 1
  volumes: [{name: token, projected: {sources: [{serviceAccountToken: {path: token, expirationSeconds: 600, audience: test}}]}}]
  containers:
  - name: main
    image: $BUSYBOX
    command: [sleep, "3600"]
    volumeMounts: [{name: token, mountPath: /token}]
`)
		before := s.sh("holder", "cat /token/token")
		await.Must(s.t, cluster.Kubelet.Stop())
		await.Must(s.t, cluster.Kubelet.Start())
		s.eventually("another token is there", func() error {
			now := s.try("exec", "holder", "--", "cat", "/token/token")
			if now == before || strings.Count(now, ".") != 2 {
				return fmt.Errorf("%q, before %q", now, before)
			}
			return nil
		})
		s.equal("restarts", s.field("pod/holder", ".status.containerStatuses[0].restartCount"), "0")
	})
}

func TestEmptyDirsAndHostPaths(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		folder := filepath.Join(cluster.World.Folder, "host-path-"+s.name)
		if err := os.MkdirAll(folder, 0o777); err != nil {
			s.t.Fatal(err)
		}
		s.runPod("volumes", `
apiVersion: v1
kind: Pod
metadata: {name: volumes}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 1
  volumes:
  - {name: disk, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 16Mi}}
  - {name: host, hostPath: {path: `+folder+`}}
  containers:
  - &one
    name: one
    image: $BUSYBOX
    command: [sleep, "3600"]
    volumeMounts:
    - {name: disk, mountPath: /disk}
    - {name: memory, mountPath: /memory}
    - {name: host, mountPath: /host}
    - {name: disk, mountPath: /part, subPath: part}
  - <<: *one
    name: two
`)
		s.sh("volumes", "echo disk >/disk/f; echo memory >/memory/f; echo host >/host/f; echo part >/part/f", "-c", "one")
		s.equal("the other container reads", s.sh("volumes", "cat /disk/f /memory/f /host/f /disk/part/f", "-c", "two"), "disk\nmemory\nhost\npart\n")
		s.equal("kind of memory's file system", s.sh("volumes", "stat -f -c %T /memory", "-c", "one"), "tmpfs\n")
		if text, err := os.ReadFile(filepath.Join(folder, "f")); string(text) != "host\n" {
			s.t.Errorf("on the node: %q, %v", text, err)
		}
	})
}

func TestImageVolumes(t *testing.T) {
	if cluster.Runtime.Kind == "containerd" {
		t.Skip("Debian's containerd is older than image volumes")
	}
	onEveryHandler(t, func(s *space) {
		s.runPod("images", `
apiVersion: v1
kind: Pod
metadata: {name: images}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 1
  volumes: [{name: image, image: {reference: $AGNHOST, pullPolicy: IfNotPresent}}]
  containers:
  - name: main
    image: $BUSYBOX
    command: [sleep, "3600"]
    volumeMounts:
    - {name: image, mountPath: /image}
    - {name: image, mountPath: /etc-of-image, subPath: etc}
`)
		s.sh("images", "test -x /image/agnhost && grep -q nobody /etc-of-image/passwd && ! touch /image/new")
	})
}

func TestLocalPersistentVolumes(t *testing.T) {
	onEveryHandler(t, func(s *space) {
		folder := filepath.Join(cluster.World.Folder, "local-"+s.name)
		if err := os.MkdirAll(folder, 0o777); err != nil {
			s.t.Fatal(err)
		}
		s.apply(`
apiVersion: v1
kind: PersistentVolume
metadata: {name: $NAMESPACE}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: $NAMESPACE
  local: {path: ` + folder + `}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node0]}]}]}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec: {accessModes: [ReadWriteOnce], storageClassName: $NAMESPACE, resources: {requests: {storage: 1Gi}}}
`)
		// It goes with its claim, which goes with the namespace.
		s.t.Cleanup(func() { s.kubectlAnywhere("delete", "persistentvolume", s.name, "--wait=false") })
		pod := `
apiVersion: v1
kind: Pod
metadata: {name: user}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 1
  securityContext: {fsGroup: 4711}
  volumes: [{name: data, persistentVolumeClaim: {claimName: claim}}]
  containers:
  - name: main
    image: $BUSYBOX
    command: [sleep, "3600"]
    volumeMounts: [{name: data, mountPath: /data}]
`
		s.runPod("user", pod)
		s.sh("user", "echo kept >/data/f")
		s.equal("group", s.sh("user", "stat -c %g /data"), "4711\n")
		s.kubectl("delete", "pod", "user", "--wait", kubectlPatience)
		s.runPod("user", pod)
		s.equal("after another pod", s.sh("user", "cat /data/f"), "kept\n")
	})
}
