// Processes that join a container, terminals, and containers that share a pid namespace.
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <sstream>

#include "sandbox/backend/engine_fixture.h"

namespace catamaran {
namespace {

using ExecInAContainer = EngineTest;
using Terminal = EngineTest;
using SharedPids = EngineTest;

TEST_F(ExecInAContainer, AnotherProcessRunsInTheSameNamespacesWithTheSameCredentials) {
  CreateSandbox();
  const std::vector<std::string> words = {"ids",    "caps",   "nnp",    "hostname", "ns:pid",
                                          "ns:net", "ns:mnt", "ns:ipc", "ns:uts",   "cwd"};
  auto spec = ProbeSpec("one", words);
  spec.mutable_process()->add_args("echo:ready");
  spec.mutable_process()->add_args("forever");
  spec.mutable_process()->mutable_user()->set_user("1000:50");
  spec.mutable_process()->set_no_new_privileges(true);
  spec.mutable_process()->set_cwd("/work/here");
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  WaitForOutput("one", "echo=ready");
  std::vector<std::string> args = {"/probe"};
  args.insert(args.end(), words.begin(), words.end());
  args.push_back("fds");
  auto started = Exec("one", "e1", args);
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_EQ(WaitExit("one", "e1").exit_code(), 0);
  auto exec_report = ParseReport(Stdout("one", "e1"));
  EXPECT_EQ(exec_report["fds"], "0,1,2");
  exec_report.erase("fds");
  ASSERT_TRUE(Signal("one", SIGKILL));
  auto report = ParseReport(Stdout("one"));
  report.erase("echo");
  EXPECT_EQ(exec_report, report);
  EXPECT_EQ(report["ids"], "1000,1000,1000:50,50,50:50");
  EXPECT_EQ(report["cwd"], "/work/here");
}

TEST_F(ExecInAContainer, ItsExitCodeOutputAndInputAreItsOwn) {
  CreateSandbox();
  StartForever("one");
  ASSERT_TRUE(Exec("one", "e1", {"/probe", "echo:out", "err:err", "exit:3"}));
  EXPECT_EQ(WaitExit("one", "e1").exit_code(), 3);
  EXPECT_EQ(Stdout("one", "e1"), "echo=out\n");
  EXPECT_EQ(Stderr("one", "e1"), "err");
  EXPECT_EQ(List().containers(0).state(), spec::RUNNING);
}

TEST_F(ExecInAContainer, AMissingProgramIsNamedAndNoExitFollows) {
  CreateSandbox();
  StartForever("one");
  auto started = Exec("one", "e1", {"no-such-program"});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kNotFound);
  EXPECT_NE(started.error().message.find("no-such-program"), std::string::npos);
  EXPECT_TRUE(events_.empty());
  EXPECT_TRUE(Exec("one", "e1", {"/probe"})) << "the id is free again";
  WaitExit("one", "e1");
}

TEST_F(ExecInAContainer, NeedsARunningContainer) {
  CreateSandbox();
  ASSERT_TRUE(Create(ProbeSpec("one", {"exit:0"})));
  EXPECT_EQ(Exec("one", "e1", {"/probe"}).error().code, ErrorCode::kFailedPrecondition);
  ASSERT_TRUE(Start("one"));
  WaitExit("one");
  EXPECT_EQ(Exec("one", "e1", {"/probe"}).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(Exec("two", "e1", {"/probe"}).error().code, ErrorCode::kNotFound);
}

TEST_F(ExecInAContainer, EndsWithItsContainer) {
  CreateSandbox();
  StartForever("one");
  ASSERT_TRUE(Exec("one", "e1", {"/probe", "forever"}));
  ASSERT_TRUE(Signal("one", SIGKILL));
  EXPECT_EQ(WaitExit("one").exit_code(), 137);
  EXPECT_EQ(WaitExit("one", "e1").exit_code(), 137);
}

TEST_F(ExecInAContainer, CanBeSignalledByItself) {
  CreateSandbox();
  StartForever("one");
  ASSERT_TRUE(Exec("one", "e1", {"/probe", "forever"}));
  pod::SignalRequest request;
  request.mutable_process()->set_container_id("one");
  request.mutable_process()->set_exec_id("e1");
  request.set_signal(SIGKILL);
  ASSERT_TRUE(Complete<void>([&](auto done) { backend_->Signal(request, std::move(done)); }));
  EXPECT_EQ(WaitExit("one", "e1").exit_code(), 137);
  EXPECT_EQ(List().containers(0).state(), spec::RUNNING);
}

TEST_F(ExecInAContainer, IsHeldByTheLimitsOfItsContainer) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {"echo:ready", "forever"});
  spec.mutable_resources()->set_pids_limit(5);
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  ASSERT_TRUE(Exec("one", "e1", {"/probe", "forks:20"}));
  WaitExit("one", "e1");
  EXPECT_EQ(ParseReport(Stdout("one", "e1"))["forks"], "3");
}

TEST_F(Terminal, TheProgramHasAControllingTerminalOfItsOwnDevpts) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {"tty", "stat:/dev/console", "list:/dev/pts", "err:mixed"});
  spec.mutable_process()->set_terminal(true);
  spec.mutable_process()->mutable_user()->set_user("1000");
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  EXPECT_EQ(WaitExit("one").exit_code(), 0);
  auto report = ParseReport(Stdout("one"));
  EXPECT_EQ(report["tty"], "/dev/pts/0");
  EXPECT_EQ(report["controlling"], "ok");
  EXPECT_EQ(report["stat /dev/console"], "char 620 1000:5 136:0");
  EXPECT_EQ(report["list /dev/pts"], "0,ptmx");
  EXPECT_NE(Stdout("one").find("mixed"), std::string::npos) << "everything is on one stream";
}

TEST_F(Terminal, IsResizedAndReadsWhatIsTyped) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {"wait-file:/go", "tty", "cat"});
  spec.mutable_process()->set_terminal(true);
  ASSERT_TRUE(Create(spec));
  pod::ResizeTerminalRequest resize;
  resize.mutable_process()->set_container_id("one");
  resize.set_columns(100);
  resize.set_rows(40);
  ASSERT_TRUE(
      Complete<void>([&](auto done) { backend_->ResizeTerminal(resize, std::move(done)); }));
  ASSERT_TRUE(Start("one"));
  ASSERT_TRUE(Exec("one", "go", {"/probe", "write:/go:x"}));
  WaitForOutput("one", "size=100x40");
  WaitForOutput("one", "controlling=ok\r\n");  // the last word before it reads
  ASSERT_TRUE(WriteAll(StdinOf("one").get(), "typed\n"));
  WaitForOutput("one", "typed\r\ntyped\r\n");  // the echo and the program's answer
  ASSERT_TRUE(WriteAll(StdinOf("one").get(), "\x04"));
  EXPECT_EQ(WaitExit("one").exit_code(), 0);
}

TEST_F(Terminal, AnExecHasOneOfItsOwn) {
  CreateSandbox();
  StartForever("one");
  ASSERT_TRUE(Exec("one", "e1", {"/probe", "tty", "env:TERM"}, /*terminal=*/true));
  EXPECT_EQ(WaitExit("one", "e1").exit_code(), 0);
  auto report = ParseReport(Stdout("one", "e1"));
  EXPECT_EQ(report["tty"], "/dev/pts/0");
  EXPECT_EQ(report["controlling"], "ok");
  EXPECT_EQ(report["env TERM"], "xterm");
}

TEST_F(Terminal, AllOutputIsThereBeforeTheExit) {
  CreateSandbox();
  std::vector<std::string> words;
  for (int i = 0; i < 400; ++i) words.push_back("echo:" + std::string(100, 'x'));
  words.push_back("echo:the-end");
  auto spec = ProbeSpec("one", words);
  spec.mutable_process()->set_terminal(true);
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  WaitExit("one");
  EXPECT_EQ(Stdout("one").size(), 400 * (5 + 100 + 2) + strlen("echo=the-end\r\n"));
}

TEST_F(SharedPids, ContainersSeeEachOtherAndTheInitOfThePod) {
  auto sandbox = SandboxSpec();
  sandbox.set_pid(spec::POD);
  CreateSandbox(sandbox);
  auto first = ProbeSpec("one", {"ns:pid", "echo:ready", "forever"});
  first.set_pid(spec::POD);
  ASSERT_TRUE(Create(first));
  ASSERT_TRUE(Start("one"));
  WaitForOutput("one", "echo=ready");
  auto second = ProbeSpec("two", {"ns:pid", "pid", "read:/proc/1/comm", "list:/proc/1/root",
                                  "list:/proc/1/fd", "readlink:/proc/1/exe"});
  second.set_pid(spec::POD);
  auto report = Run(second);
  EXPECT_NE(report["pid"], "1");
  EXPECT_EQ(report["read /proc/1/comm"], "pod-init");
  // Nothing of the machine is reachable through it.
  EXPECT_EQ(report["list /proc/1/root"], "EACCES");
  EXPECT_EQ(report["list /proc/1/fd"], "");
  EXPECT_EQ(report["readlink /proc/1/exe"], "EACCES");
  ASSERT_TRUE(Signal("one", SIGKILL));
  EXPECT_EQ(ParseReport(Stdout("one"))["ns pid"], report["ns pid"]);
  EXPECT_TRUE(List().sandbox_ready());
}

TEST_F(SharedPids, WhatAContainerLeftBehindEndsWithIt) {
  auto sandbox = SandboxSpec();
  sandbox.set_pid(spec::POD);
  CreateSandbox(sandbox);
  auto spec = ProbeSpec("one", {"daemon", "exit:5"});
  spec.set_pid(spec::POD);
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  EXPECT_EQ(WaitExit("one").exit_code(), 5);
  // The daemon holds the pipe: its end is seen here.
  EXPECT_EQ(Stdout("one"), "daemon=ok\n");
}

TEST_F(SharedPids, AContainerJoinsThatOfItsTarget) {
  CreateSandbox();
  StartForever("one", {"ns:pid"});
  auto spec = ProbeSpec("two", {"ns:pid", "read:/proc/1/comm"});
  spec.set_pid(spec::TARGET);
  spec.set_pid_target("one");
  auto report = Run(spec);
  EXPECT_EQ(report["read /proc/1/comm"], "probe");
  ASSERT_TRUE(Signal("one", SIGKILL));
  EXPECT_EQ(ParseReport(Stdout("one"))["ns pid"], report["ns pid"]);
}

TEST_F(SharedPids, TheMachinesIsSharedWhereAskedFor) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {"ns:pid", "daemon"});
  spec.set_pid(spec::NODE);
  auto report = Run(spec);
  EXPECT_EQ(report["ns pid"], std::filesystem::read_symlink("/proc/self/ns/pid").string());
}

TEST_F(SharedPids, TheEndOfThePodsInitIsTheEndOfTheSandbox) {
  auto sandbox = SandboxSpec();
  sandbox.set_pid(spec::POD);
  CreateSandbox(sandbox);
  StartForever("one");
  // The only child of this process that is named so.
  const auto children =
      ReadFile("/proc/self/task/" + std::to_string(getpid()) + "/children").value();
  std::istringstream pids(children);
  pid_t pid = 0;
  while (pids >> pid)
    if (ReadFile("/proc/" + std::to_string(pid) + "/comm").value_or("") == "pod-init\n")
      kill(pid, SIGKILL);
  EXPECT_TRUE(Await([&] { return !List().sandbox_ready(); }));
  EXPECT_TRUE(events_.back().has_failed());
}

}  // namespace
}  // namespace catamaran
