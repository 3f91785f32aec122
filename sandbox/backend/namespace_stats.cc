#include "sandbox/backend/namespace_stats.h"

#include <sched.h>

#include <algorithm>
#include <functional>

#include "sandbox/container/folder_usage.h"
#include "sandbox/container/process_census.h"

namespace catamaran {
namespace {
constexpr std::chrono::seconds kMeasureInterval(10);
constexpr std::chrono::milliseconds kSpread(3000);
}  // namespace

Status StatsReader::ReadInterfaces(spec::SandboxStats& stats) {
  if (!netlink_) {
    std::optional<ScopedNamespace> scope;
    if (network_fd_ >= 0) {
      ASSIGN_OR_RETURN(scope, ScopedNamespace::Enter(network_fd_, CLONE_NEWNET));
    }
    ASSIGN_OR_RETURN(netlink_, Netlink::Open());
  }
  ASSIGN_OR_RETURN(const auto interfaces, ReadInterfaceStats(*netlink_));
  for (const auto& interface : interfaces) *stats.add_interfaces() = interface;
  return {};
}

Status StatsReader::ReadPod(spec::SandboxStats& stats) {
  if (!pod_) {
    ASSIGN_OR_RETURN(pod_, cgroups_->OpenGroup(pod_cgroup_));
  }
  ASSIGN_OR_RETURN(*stats.mutable_pod(), pod_->Stats());
  return ReadInterfaces(stats);
}

Status StatsReader::ReadCounters(pod::StatsRequest::Extent extent,
                                 const std::vector<Source>& sources, spec::SandboxStats& stats) {
  for (const auto& source : sources) {
    auto* container = stats.add_containers();
    container->set_container_id(source.container_id);
    ASSIGN_OR_RETURN(*container->mutable_group(), source.cgroup->Stats());
    if (extent == pod::StatsRequest::DETAILS)
      source.cgroup->AddDetails(*container->mutable_group());
  }
  if (extent == pod::StatsRequest::CONTAINERS) return {};
  return ReadPod(stats);
}

void StatsReader::Read(const pod::StatsRequest& request, const std::vector<Source>& sources,
                       Completion<pod::StatsResponse> done) {
  spec::SandboxStats stats;
  if (auto read = ReadCounters(request.extent(), sources, stats); !read)
    return done(tl::unexpected(std::move(read).error()));
  if (request.extent() != pod::StatsRequest::DETAILS)
    return ReadWithUsage(std::move(stats), sources, std::move(done));
  ReadWithUsage(std::move(stats), sources,
                [this, sources, done = std::move(done)](Result<pod::StatsResponse> read) mutable {
                  if (!read) return done(std::move(read));
                  AddDetails(std::move(sources), std::move(*read), std::move(done));
                });
}

void StatsReader::ReadWithUsage(spec::SandboxStats stats, const std::vector<Source>& sources,
                                Completion<pod::StatsResponse> done) {
  const bool known = std::all_of(sources.begin(), sources.end(), [this](const Source& source) {
    return usage_.contains(source.container_id);
  });
  const auto now = std::chrono::steady_clock::now();
  const bool due = now - measured_at_ >= kMeasureInterval;
  if (known) {
    Answer(std::move(stats), std::move(done));
  } else {
    waiting_.push_back({std::move(stats), std::move(done)});
  }
  if (measuring_ || (known && !due)) return;
  std::vector<std::pair<std::string, std::string>> folders;
  for (const auto& source : sources)
    folders.emplace_back(source.container_id, source.writable_layer);
  if (known)
    MeasureLater(std::move(folders));
  else
    Measure(std::move(folders));
}

void StatsReader::MeasureLater(std::vector<std::pair<std::string, std::string>> folders) {
  measured_at_ = std::chrono::steady_clock::now();
  const auto delay = std::chrono::milliseconds(std::hash<std::string>()(pod_cgroup_) %
                                               static_cast<size_t>(kSpread.count()));
  auto timer = loop_.RunAfter(delay, [this, folders = std::move(folders)]() mutable {
    // A new container may have had everything measured meanwhile.
    if (!measuring_) Measure(std::move(folders));
  });
  if (timer) later_ = std::move(*timer);
}

void StatsReader::Measure(std::vector<std::pair<std::string, std::string>> folders) {
  measured_at_ = std::chrono::steady_clock::now();
  auto work = [folders = std::move(folders)]() -> Result<std::string> {
    spec::SandboxStats measured;
    for (const auto& [id, folder] : folders) {
      auto* container = measured.add_containers();
      container->set_container_id(id);
      *container->mutable_writable_layer() = MeasureFolder(folder);
    }
    return measured.SerializeAsString();
  };
  measuring_ = ChildTask::Start(loop_, std::move(work), [this](Result<std::string> report) {
    OnMeasured(std::move(report));
  });
}

void StatsReader::OnMeasured(Result<std::string> report) {
  const auto ended = std::move(measuring_);
  spec::SandboxStats measured;
  if (report && measured.ParseFromString(*report)) {
    usage_.clear();
    for (const auto& container : measured.containers())
      usage_[container.container_id()] = container.writable_layer();
  }
  for (auto& waiting : std::exchange(waiting_, {}))
    Answer(std::move(waiting.stats), std::move(waiting.done));
}

void StatsReader::Answer(spec::SandboxStats stats, Completion<pod::StatsResponse> done) {
  for (auto& container : *stats.mutable_containers())
    if (const auto found = usage_.find(container.container_id()); found != usage_.end())
      *container.mutable_writable_layer() = found->second;
  pod::StatsResponse response;
  *response.mutable_stats() = std::move(stats);
  done(std::move(response));
}

void StatsReader::AddDetails(std::vector<Source> sources, pod::StatsResponse response,
                             Completion<pod::StatsResponse> done) {
  want_details_.emplace_back(std::move(response), std::move(done));
  if (detailing_) return;
  // The groups are named by path: a container may be removed while the child is at work.
  std::vector<std::string> groups;
  for (const auto& source : sources) groups.push_back(source.cgroup->path());
  auto work = [tree = cgroups_, sources = std::move(sources),
               groups = std::move(groups)]() -> Result<std::string> {
    spec::SandboxStats details;
    for (size_t i = 0; i < sources.size(); ++i) {
      auto* container = details.add_containers();
      container->set_container_id(sources[i].container_id);
      MeasureFilesystem(sources[i].writable_layer, *container->mutable_writable_layer());
      auto group = tree->OpenGroup(groups[i]);
      auto processes = group ? group->Processes(Cgroup::Depth::kTree)
                             : Result<std::vector<pid_t>>(std::vector<pid_t>());
      DescriptorBudget budget{.left = DescriptorBudget().left / sources.size()};
      if (processes) *container->mutable_processes() = CountProcesses(*processes, budget);
      if (const auto limit = SoftOpenFiles(sources[i].process))
        container->mutable_processes()->set_soft_open_files(*limit);
    }
    return details.SerializeAsString();
  };
  detailing_ = ChildTask::Start(
      loop_, std::move(work), [this](Result<std::string> report) { OnDetails(std::move(report)); });
}

void StatsReader::OnDetails(Result<std::string> report) {
  const auto ended = std::move(detailing_);
  spec::SandboxStats details;
  if (!report || !details.ParseFromString(*report)) details.Clear();
  for (auto& [response, done] : std::exchange(want_details_, {})) {
    for (auto& container : *response.mutable_stats()->mutable_containers())
      for (const auto& detail : details.containers())
        if (detail.container_id() == container.container_id()) container.MergeFrom(detail);
    done(std::move(response));
  }
}

}  // namespace catamaran
