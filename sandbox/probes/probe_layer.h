#pragma once

namespace catamaran {

// The image that container roots are tried with: an EROFS file of this name, and the one file in
// it. Whoever keeps images writes it, the engine mounts it.
inline constexpr char kProbeLayer[] = "layer.erofs";
inline constexpr char kProbeFile[] = "hello";
inline constexpr char kProbeContent[] = "hello\n";

}  // namespace catamaran
