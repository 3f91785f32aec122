#include "cri/operate/pod_table_view.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace catamaran {
namespace {

namespace v1 = ::runtime::v1;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RowsOf, JoinPodsTheirStatisticsAndContainers) {
  v1::ListPodSandboxResponse pods;
  auto* pod = pods.add_items();
  pod->set_id("p1");
  pod->mutable_metadata()->set_name("web");
  pod->mutable_metadata()->set_namespace_("shop");
  pod->set_state(v1::SANDBOX_READY);
  pod->set_runtime_handler("vm");
  pod->set_created_at(1'000'000'000);
  auto* gone = pods.add_items();
  gone->set_id("p2");
  gone->set_state(v1::SANDBOX_NOTREADY);
  v1::ListPodSandboxStatsResponse stats;
  auto* usage = stats.add_stats();
  usage->mutable_attributes()->set_id("p1");
  usage->mutable_linux()->mutable_cpu()->mutable_usage_nano_cores()->set_value(1'500'000'000);
  usage->mutable_linux()->mutable_memory()->mutable_working_set_bytes()->set_value(300 << 20);
  for (int i = 0; i < 2; ++i)
    usage->mutable_linux()
        ->add_containers()
        ->mutable_memory()
        ->mutable_working_set_bytes()
        ->set_value(100 << 20);
  v1::ListContainersResponse containers;
  for (const auto state : {v1::CONTAINER_RUNNING, v1::CONTAINER_RUNNING, v1::CONTAINER_EXITED}) {
    auto* container = containers.add_containers();
    container->set_pod_sandbox_id("p1");
    container->set_state(state);
  }
  const auto rows = RowsOf(pods, stats, containers, seconds(61));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].name, "shop/web");
  EXPECT_TRUE(rows[0].ready);
  EXPECT_DOUBLE_EQ(rows[0].cores.value_or(0), 1.5);
  EXPECT_EQ(rows[0].memory, uint64_t{300 << 20});
  EXPECT_EQ(rows[0].tax, uint64_t{100 << 20});
  EXPECT_EQ(rows[0].containers, 2);
  EXPECT_EQ(rows[0].age, seconds(60));
  EXPECT_FALSE(rows[1].ready);
  EXPECT_FALSE(rows[1].memory || rows[1].tax || rows[1].cores) << "nobody knows";
}

PodRow Row(const std::string& name, double cores, uint64_t memory, int start_ms) {
  return {.id = name,
          .name = "default/" + name,
          .handler = "ns",
          .ready = true,
          .cores = cores,
          .memory = memory,
          .tax = memory / 10,
          .containers = 1,
          .start = milliseconds(start_ms),
          .age = seconds(5)};
}

std::vector<std::string> Sorted(PodOrder order) {
  std::vector<PodRow> rows{Row("b", 0.1, 30 << 20, 5), Row("a", 0.1, 10 << 20, 90),
                           Row("c", 2, 20 << 20, 50)};
  Sort(order, &rows);
  std::vector<std::string> names;
  for (const PodRow& row : rows) names.push_back(row.id);
  return names;
}

TEST(Sort, PutsTheMostFirstAndTiesByName) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(Sorted(*OrderNamed("cpu")), (Names{"c", "a", "b"}));
  EXPECT_EQ(Sorted(*OrderNamed("memory")), (Names{"b", "c", "a"}));
  EXPECT_EQ(Sorted(*OrderNamed("tax")), (Names{"b", "c", "a"}));
  EXPECT_EQ(Sorted(*OrderNamed("start")), (Names{"a", "c", "b"}));
  EXPECT_EQ(Sorted(*OrderNamed("name")), (Names{"a", "b", "c"}));
  EXPECT_FALSE(OrderNamed("size"));
}

TEST(TableText, SaysWhatIsKnownAndKeepsToTheScreen) {
  std::vector<PodRow> rows{Row("web", 0.1234, 1536 << 20, 212)};
  rows.push_back(
      {.id = "x", .name = "default/" + std::string(70, 'n') + "-end", .age = seconds(3)});
  const std::string text = TableText(rows, 3, 100, 0);
  EXPECT_NE(text.find("12.3%     1.5G     154M     1   212 ms   5.0 s\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("calls in flight 3"), std::string::npos) << text;
  EXPECT_NE(text.find("NOT READY       -        -        -     0        -   3.0 s\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("-end "), std::string::npos) << "the end of a name tells most";
  size_t at = 0;
  for (size_t end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    EXPECT_LE(end - at, 100u) << text.substr(at, end - at);
}

TEST(TableText, SaysHowMuchDoesNotFit) {
  const std::vector<PodRow> rows(50, Row("web", 0, 0, 0));
  const std::string text = TableText(rows, 0, 100, 20);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 20);
  EXPECT_NE(text.find("... and 34 more\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace catamaran
