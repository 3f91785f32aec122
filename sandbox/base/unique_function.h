#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace catamaran {

template <typename Signature>
class UniqueFunction;

// A callable that is moved, never copied, so that it may own descriptors and promises
// (std::move_only_function is C++23). Lambdas convert; `requires` keeps copies and moves apart.
template <typename R, typename... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  template <typename F>
  requires(!std::is_same_v<std::decay_t<F>, UniqueFunction> &&
           std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
      UniqueFunction(F&& function)  // NOLINT(google-explicit-constructor,bugprone-forwarding*)
      : callable_(std::make_unique<Holder<std::decay_t<F>>>(std::forward<F>(function))) {}

  R operator()(Args... args) { return callable_->Call(std::forward<Args>(args)...); }
  explicit operator bool() const { return callable_ != nullptr; }

 private:
  struct Callable {
    virtual ~Callable() = default;
    virtual R Call(Args... args) = 0;
  };
  template <typename F>
  struct Holder final : Callable {
    explicit Holder(F f) : function(std::move(f)) {}
    R Call(Args... args) override { return function(std::forward<Args>(args)...); }
    F function;
  };
  std::unique_ptr<Callable> callable_;
};

}  // namespace catamaran
