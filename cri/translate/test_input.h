#pragma once

#include <memory>

#include "cri/translate/translate.h"

namespace catamaran {

namespace v1 = ::runtime::v1;

// A right request of each kind for tests to bend: a host with little, both hulls, an image.
struct TestInput {
  HostFacts host;
  HandlerConfig ns{"ns", HandlerConfig::Hull::kNamespaces, {}};
  HandlerConfig vm{"vm", HandlerConfig::Hull::kVm, {}};
  Image image;
  v1::PodSandboxConfig pod;
  v1::ContainerConfig container;
  SandboxPlace place{PodId(std::string(64, 'a')), HostPath("/run/state"), HostPath("/var/data"),
                     "/catamaran"};
  ContainerId container_id{std::string(64, 'b')};

  TestInput() {
    host.hostname = "node7";
    host.hosts = "127.0.0.1 localhost node7\n";
    host.resolv_conf = "nameserver 192.0.2.1\n";
    host.hugepage_sizes = {"2MB"};
    host.cpus = 4;
    image.id = "sha256:" + std::string(64, 'c');
    image.config.command = {"/bin/sh"};
    image.config.env = {"PATH=/bin", "LANG=C"};
    vm.machine.set_kernel("/guest/vmlinuz");
    pod.mutable_metadata()->set_name("web");
    pod.mutable_metadata()->set_namespace_("default");
    pod.mutable_metadata()->set_uid("u-1");
    pod.set_hostname("web-0");
    pod.set_log_directory("/var/log/pods/web");
    pod.mutable_linux()->mutable_security_context();
    container.mutable_metadata()->set_name("main");
    container.mutable_image()->set_image(image.id);
    container.set_log_path("main/0.log");
    container.mutable_linux()->mutable_security_context();
  }

  v1::LinuxSandboxSecurityContext* pod_security() {
    return pod.mutable_linux()->mutable_security_context();
  }
  v1::LinuxContainerSecurityContext* security() {
    return container.mutable_linux()->mutable_security_context();
  }
  v1::LinuxContainerResources* resources() {
    return container.mutable_linux()->mutable_resources();
  }
  v1::Mount* AddMount() {
    v1::Mount* mount = container.add_mounts();
    mount->set_host_path("/usr");
    mount->set_container_path("/data");
    return mount;
  }

  Result<spec::SandboxSpec> Sandbox(bool in_vm = false) const {
    return TranslateSandbox(pod, in_vm ? vm : ns, place, host);
  }
  Result<spec::ContainerSpec> Container(bool in_vm = false) const {
    ASSIGN_OR_RETURN(const spec::SandboxSpec sandbox, Sandbox(in_vm));
    return TranslateContainer({.id = container_id,
                               .config = container,
                               .sandbox_config = pod,
                               .sandbox = sandbox,
                               .handler = in_vm ? vm : ns,
                               .image = image,
                               .host = host});
  }
};

// One wrong request and what its refusal must say.
struct BadRequest {
  const char* name;
  void (*bend)(TestInput&);
  const char* expected;  // part of the message: the field and the value
  bool in_vm = false;
  ErrorCode code = ErrorCode::kInvalidArgument;
};

}  // namespace catamaran
