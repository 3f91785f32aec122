// `./dev bench`: what pods cost here, beside what they cost with other runtimes. Everything that is
// compared takes turns in one run, because only figures of the same minutes can be.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>

#include "cri/registry/testing/local_registry.h"
#include "e2e/bench/measures.h"
#include "e2e/harness/machines.h"
#include "e2e/harness/test_image.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr char kContainerdRunc[] = "containerd runc";
constexpr int kMostTasks = 30'000;  // 200 pods of a runtime with a dozen threads a shim, thrice

struct Flags {
  std::string endpoint;  // empty: daemons of our own
  std::string image;
  std::vector<std::string> subjects;
  std::vector<std::string> measures = {"life", "exec", "parallel", "many",
                                       "logs", "pull", "streams"};
  std::string base = kContainerdRunc;
  Plan plan;
};

Result<std::string> Lines() {
  std::string lines;
  for (int i = 0; i < kLinesInFile; ++i) lines += fmt::format("{:07} {:x>119}\n", i, "");
  return lines;
}

// Bytes that hardly compress, as programs' do not.
std::string Noise(size_t size, uint64_t seed) {
  std::string bytes(size, 0);
  uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (char& byte : bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<char>(state);
  }
  return bytes;
}

// A registry with the images of the plan, which are named in it.
Result<LocalRegistry> PrepareImages(const WorldPaths& world, bool big, Plan& plan) {
  ASSIGN_OR_RETURN(LocalRegistry registry,
                   LocalRegistry::Start({.folder = world.base + "/registry"}));
  const auto add = [&](const ImageDescription& image,
                       const std::string& name) -> Result<std::string> {
    const std::string layout = world.base + "/layout-" + name;
    RETURN_IF_ERROR(WriteOciLayout(layout, {image}));
    RETURN_IF_ERROR(registry.Add(name, "1", layout));
    RETURN_IF_ERROR(RemoveTree(layout));
    return registry.address() + "/" + name + ":1";
  };
  ASSIGN_OR_RETURN(ImageDescription image, BusyboxImage("bench"));
  ASSIGN_OR_RETURN(std::string lines, Lines());
  image.layers.push_back({{.path = "lines", .content = std::move(lines), .target = {}}});
  // The process of a pod that has one, until it is stopped.
  image.command = {"/bin/sleep", "1000000"};
  ASSIGN_OR_RETURN(plan.image, add(image, "bench"));
  if (!big) return registry;
  constexpr int kLayers = 20;
  constexpr size_t kLayerSize = 15 << 20;
  image.layers.clear();
  for (int i = 0; i < kLayers; ++i) {
    image.layers.push_back(
        {{.path = fmt::format("data-{}", i), .content = Noise(kLayerSize, i), .target = {}}});
  }
  ASSIGN_OR_RETURN(plan.big_image, add(image, "big"));
  return registry;
}

Status PrepareFloor(const Plan& plan) {
  const std::string bin = plan.folder + "/floor/bin";
  RETURN_IF_ERROR(MakeDirectories(bin, 0755));
  RETURN_IF_ERROR(MakeDirectories(plan.folder + "/floor/proc", 0755));
  std::error_code error;
  std::filesystem::copy_file("/bin/busybox", bin + "/sleep", error);
  if (error) return FailErrno(error.value(), "copy /bin/busybox");
  return {};
}

Status Pull(Runtime& runtime, const std::string& image) {
  v1::PullImageRequest request;
  request.mutable_image()->set_image(image);
  auto reply = runtime.cri().PullImage(request);
  if (!reply.ok()) return tl::unexpected<Error>(Error(reply.error).While("PullImage " + image));
  return {};
}

int Run(const Flags& flags, Plan plan, const std::vector<Subject>& subjects) {
  for (const Subject& subject : subjects)
    printf("%-18s %s\n", subject.name.c_str(), subject.runtime->version().c_str());
  fflush(stdout);
  Bench bench(std::move(plan), subjects);
  for (const std::string& measure : flags.measures) {
    if (measure == "life") bench.MeasurePodLives();
    if (measure == "exec") bench.MeasureExec();
    if (measure == "parallel") bench.MeasureParallelStarts();
    if (measure == "many") {
      bench.MeasureManyPods(/*machines=*/false);
      bench.MeasureManyPods(/*machines=*/true);
    }
    if (measure == "logs") bench.MeasureLogs();
    if (measure == "pull") bench.MeasurePulls();
    if (measure == "streams") bench.MeasureStreams();
  }
  bench.Print(flags.base);
  return bench.failed() ? 1 : 0;
}

// Who takes part, and the daemons they stand on.
struct LineUp {
  std::map<std::string, std::unique_ptr<Runtime>> runtimes;
  std::vector<Subject> subjects;
};

Result<std::unique_ptr<Runtime>> Start(const WorldPaths& world, const Plan& plan,
                                       const std::string& kind) {
  if (kind == "containerd") return Runtime::StartContainerd(world, plan.image);
  if (kind == "pool") return Runtime::StartCatamaran(world, "builtin", plan.machines);
  return Runtime::StartCatamaran(world, kind);
}

// Starts what the wanted subjects (empty: all that can be had here) need.
Result<LineUp> StartRuntimes(const WorldPaths& world, const Plan& plan,
                             const std::vector<std::string>& wanted) {
  struct Candidate {
    std::string subject, runtime, handler;
    bool machines = false;
  };
  const Candidate candidates[] = {
      {"catamaran ns", "builtin", "ns"},       {"catamaran ns cni", "cni", "ns"},
      {"catamaran vm", "builtin", "vm", true}, {"catamaran vm pool", "pool", "vm", true},
      {kContainerdRunc, "containerd", "runc"}, {"containerd crun", "containerd", "crun"}};
  LineUp line_up;
  for (const auto& [subject, kind, handler, machines] : candidates) {
    if (!wanted.empty() && std::count(wanted.begin(), wanted.end(), subject) == 0) continue;
    if (kind == "containerd" &&
        !Exists(fmt::format("/usr/{}/{}", handler == "runc" ? "sbin" : "bin", handler))) {
      printf("no %s: apt-get install containerd %s\n", subject.c_str(), handler.c_str());
      continue;
    }
    auto& runtime = line_up.runtimes[kind];
    if (runtime == nullptr) {
      ASSIGN_OR_RETURN(runtime, Start(world, plan, kind));
      RETURN_IF_ERROR(Pull(*runtime, plan.image));
    }
    line_up.subjects.push_back(
        {subject, runtime.get(), handler, machines, kind == "pool" ? plan.machines : 0});
  }
  if (line_up.subjects.size() < std::max<size_t>(wanted.size(), 1))
    return Fail(ErrorCode::kInvalidArgument,
                "subjects: not all of these can be had; known are: catamaran ns, catamaran ns cni, "
                "catamaran vm, catamaran vm pool, containerd runc, containerd crun");
  return line_up;
}

Result<int> MeasureOwn(const WorldPaths& world, Flags flags) {
  Plan& plan = flags.plan;
  plan.folder = world.logs();
  plan.cgroup = world.cgroup_root + "/floor";
  RETURN_IF_ERROR(PrepareFloor(plan));
  const bool pulls = std::count(flags.measures.begin(), flags.measures.end(), "pull") > 0;
  ASSIGN_OR_RETURN(const LocalRegistry registry, PrepareImages(world, pulls, plan));
  ASSIGN_OR_RETURN(const LineUp line_up, StartRuntimes(world, plan, flags.subjects));
  const auto is_base = [&](const Subject& subject) { return subject.name == flags.base; };
  if (std::none_of(line_up.subjects.begin(), line_up.subjects.end(), is_base)) flags.base.clear();
  for (const Subject& subject : line_up.subjects) {
    if (!subject.machines) continue;
    fprintf(stderr, "%s: making the template\n", subject.name.c_str());
    RETURN_IF_ERROR(RunUntilRestored(
        subject.runtime->cri(),
        {.handler = subject.handler, .name = "template", .log_directory = plan.folder},
        [](const std::string&, const MachineFacts&) {}));
  }
  return Run(flags, plan, line_up.subjects);
}

Result<int> MeasureEndpoint(Flags flags) {
  ASSIGN_OR_RETURN(const auto runtime, Runtime::Connect(flags.endpoint));
  flags.plan.image = flags.image;
  std::string folder = "/var/tmp/catamaran-bench.XXXXXX";  // the runtime writes its logs there
  if (mkdtemp(folder.data()) == nullptr) return FailWithErrno("mkdtemp {}", folder);
  flags.plan.folder = folder;
  std::vector<Subject> subjects;
  if (flags.subjects.empty()) flags.subjects = {""};
  for (const std::string& handler : flags.subjects)
    subjects.push_back({runtime->name() + " " + handler, runtime.get(), handler});
  flags.base = subjects.front().name;
  const int code = Run(flags, flags.plan, subjects);
  RETURN_IF_ERROR(RemoveTree(folder));
  return code;
}

int Report(const Result<int>& done) {
  if (done) return *done;
  fprintf(stderr, "bench: %s\n", done.error().message.c_str());
  return 1;
}

}  // namespace
}  // namespace catamaran::e2e

int main(int argc, char** argv) {
  using namespace catamaran::e2e;
  Flags flags;
  CLI::App app("What pods cost, beside other runtimes, as ratios of figures that took turns.");
  app.add_option("--endpoint", flags.endpoint,
                 "unix:///path of a running runtime instead of our own daemons");
  app.add_option("--image", flags.image, "With --endpoint: an image it has, with /bin/sh");
  app.add_option("--subjects", flags.subjects,
                 "Only these (\"catamaran ns\"); with --endpoint: its runtime handlers")
      ->delimiter(',');
  app.add_option("--measures", flags.measures, "Some of life,exec,parallel,many,logs,pull,streams")
      ->delimiter(',');
  app.add_option("--base", flags.base, "The subject that ratios are to");
  app.add_option("--pods", flags.plan.pods, "Rounds of whole pod lives and of execs");
  app.add_option("--rounds", flags.plan.rounds, "Rounds of everything else");
  app.add_option("--parallel", flags.plan.parallel, "Pods started at once");
  app.add_option("--many", flags.plan.many, "Pods alive at once");
  app.add_option("--machines", flags.plan.machines, "Instead of those two where each is a VM");
  app.add_option("--log-megabytes", flags.plan.log_megabytes, "That a container writes");
  app.add_option("--stream-megabytes", flags.plan.stream_megabytes, "That a container streams");
  CLI11_PARSE(app, argc, argv);
  if (!flags.endpoint.empty()) {
    if (flags.image.empty()) {
      fprintf(stderr, "bench: --endpoint needs --image: an image that the runtime has\n");
      return 2;
    }
    return Report(MeasureEndpoint(flags));
  }
  WorldPaths paths = MakeWorldPaths("catamaran-bench");
  paths.most_tasks = kMostTasks;
  return RunInPrivateWorld(paths, [&] { return Report(MeasureOwn(paths, flags)); });
}
