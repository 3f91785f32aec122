#include "cri/images/image_index.h"

#include "sandbox/base/abort_step.h"

namespace catamaran {
namespace {

std::string NameOf(MergedKind kind) { return kind == MergedKind::kDisk ? "disk" : "attributes"; }

constexpr char kFormatVersion[] = "1";
constexpr char kSchema[] = R"(
CREATE TABLE images (id TEXT PRIMARY KEY, config TEXT NOT NULL, pinned INTEGER NOT NULL);
CREATE TABLE image_layers (image_id TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
  position INTEGER NOT NULL, diff_id TEXT NOT NULL, PRIMARY KEY (image_id, position));
CREATE TABLE names (name TEXT PRIMARY KEY, is_tag INTEGER NOT NULL,
  image_id TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE);
CREATE TABLE blobs (diff_id TEXT PRIMARY KEY, size INTEGER NOT NULL, checksum INTEGER NOT NULL,
  implicit_folders INTEGER NOT NULL);
CREATE TABLE leases (holder TEXT NOT NULL, image_id TEXT NOT NULL, position INTEGER NOT NULL,
  diff_id TEXT NOT NULL, PRIMARY KEY (holder, image_id, position));
CREATE TABLE merged (image_id TEXT NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL,
  PRIMARY KEY (image_id, kind));
CREATE INDEX image_layers_by_blob ON image_layers (diff_id);
CREATE INDEX leases_by_blob ON leases (diff_id);
CREATE INDEX names_by_image ON names (image_id);
PRAGMA user_version = 1;
)";

constexpr char kSelectBlobs[] = "SELECT diff_id, size, checksum, implicit_folders FROM blobs";

BlobRecord BlobOf(const Database::Row& row) {
  return {row[0], std::stoull(row[1]), static_cast<uint32_t>(std::stoul(row[2])), row[3] != "0"};
}

}  // namespace

Result<ImageIndex> ImageIndex::Open(const std::string& path) {
  ASSIGN_OR_RETURN(auto database, Database::Open(path));
  ASSIGN_OR_RETURN(const auto version, database.Run("PRAGMA user_version"));
  if (version[0][0] == "0") {
    RETURN_IF_ERROR(
        database.Transaction(Durability::kPowerCut, [&] { return database.Script(kSchema); }));
    AbortStep();
  } else if (version[0][0] != kFormatVersion) {
    return Fail(ErrorCode::kFailedPrecondition, "{} has format {}, this program reads format {}",
                path, version[0][0], kFormatVersion);
  }
  // Came later than the first format, which works without them.
  RETURN_IF_ERROR(database.Script(
      "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
      "CREATE TABLE IF NOT EXISTS signatures (image_id TEXT NOT NULL REFERENCES images(id) ON "
      "DELETE CASCADE, repository TEXT NOT NULL, key TEXT NOT NULL, "
      "PRIMARY KEY (image_id, repository, key))"));
  return ImageIndex(std::move(database));
}

Result<std::vector<std::string>> ImageIndex::Column(const char* sql,
                                                    const std::vector<std::string>& parameters) {
  ASSIGN_OR_RETURN(auto rows, database_.Run(sql, parameters));
  std::vector<std::string> column;
  for (auto& row : rows) column.push_back(std::move(row[0]));
  return column;
}

Result<std::vector<ImageRecord>> ImageIndex::Images() {
  ASSIGN_OR_RETURN(const auto ids, Column("SELECT id FROM images ORDER BY id"));
  std::vector<ImageRecord> images;
  for (const auto& id : ids) {
    ASSIGN_OR_RETURN(auto image, Get(id));
    if (image) images.push_back(std::move(*image));
  }
  return images;
}

Result<std::optional<ImageRecord>> ImageIndex::Get(const std::string& id) {
  ASSIGN_OR_RETURN(auto rows, database_.Run("SELECT config, pinned FROM images WHERE id=?", {id}));
  if (rows.empty()) return std::nullopt;
  ImageRecord image;
  image.id = id;
  image.config_text = std::move(rows[0][0]);
  image.pinned = rows[0][1] != "0";
  ASSIGN_OR_RETURN(
      image.diff_ids,
      Column("SELECT diff_id FROM image_layers WHERE image_id=? ORDER BY position", {id}));
  ASSIGN_OR_RETURN(
      image.repo_tags,
      Column("SELECT name FROM names WHERE image_id=? AND is_tag=1 ORDER BY name", {id}));
  ASSIGN_OR_RETURN(
      image.repo_digests,
      Column("SELECT name FROM names WHERE image_id=? AND is_tag=0 ORDER BY name", {id}));
  ASSIGN_OR_RETURN(const auto signatures,
                   database_.Run("SELECT repository, key FROM signatures WHERE image_id=?", {id}));
  for (const auto& row : signatures) image.signatures.push_back({row[0], row[1]});
  return image;
}

Result<std::optional<std::string>> ImageIndex::IdOfName(const std::string& name) {
  ASSIGN_OR_RETURN(const auto ids, Column("SELECT image_id FROM names WHERE name=?", {name}));
  if (ids.empty()) return std::nullopt;
  return ids[0];
}

Result<std::vector<std::string>> ImageIndex::IdsStartingWith(const std::string& prefix) {
  return Column("SELECT id FROM images WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2", {prefix});
}

Status ImageIndex::PutImage(const ImageRecord& image) {
  RETURN_IF_ERROR(database_.Run(
      "INSERT INTO images VALUES (?,?,?) ON CONFLICT(id) DO UPDATE SET pinned=max(pinned,?3)",
      {image.id, image.config_text, image.pinned ? "1" : "0"}));
  for (size_t i = 0; i < image.diff_ids.size(); ++i)
    RETURN_IF_ERROR(database_.Run("INSERT OR REPLACE INTO image_layers VALUES (?,?,?)",
                                  {image.id, std::to_string(i), image.diff_ids[i]}));
  for (const auto& tag : image.repo_tags)
    RETURN_IF_ERROR(database_.Run("INSERT OR REPLACE INTO names VALUES (?,1,?)", {tag, image.id}));
  for (const auto& digest : image.repo_digests)
    RETURN_IF_ERROR(
        database_.Run("INSERT OR REPLACE INTO names VALUES (?,0,?)", {digest, image.id}));
  for (const auto& signature : image.signatures)
    RETURN_IF_ERROR(database_.Run("INSERT OR REPLACE INTO signatures VALUES (?,?,?)",
                                  {image.id, signature.repository, signature.key}));
  return {};
}

Status ImageIndex::Put(const std::vector<ImageRecord>& images,
                       const std::vector<BlobRecord>& blobs) {
  RETURN_IF_ERROR(database_.Transaction(Durability::kPowerCut, [&]() -> Status {
    for (const BlobRecord& blob : blobs)
      RETURN_IF_ERROR(
          database_.Run("INSERT OR REPLACE INTO blobs VALUES (?,?,?,?)",
                        {blob.diff_id, std::to_string(blob.size_bytes),
                         std::to_string(blob.checksum), blob.implicit_folders ? "1" : "0"}));
    for (const ImageRecord& image : images) RETURN_IF_ERROR(PutImage(image));
    return {};
  }));
  AbortStep();
  return {};
}

Status ImageIndex::Remove(const std::string& id) {
  RETURN_IF_ERROR(database_.Transaction(Durability::kPowerCut, [&]() -> Status {
    RETURN_IF_ERROR(database_.Run("DELETE FROM images WHERE id=?", {id}));
    return {};
  }));
  AbortStep();
  return {};
}

Result<std::map<std::string, BlobRecord>> ImageIndex::Blobs() {
  ASSIGN_OR_RETURN(const auto rows, database_.Run(kSelectBlobs));
  std::map<std::string, BlobRecord> blobs;
  for (const auto& row : rows) blobs[row[0]] = BlobOf(row);
  return blobs;
}

Result<std::optional<BlobRecord>> ImageIndex::Blob(const std::string& diff_id) {
  ASSIGN_OR_RETURN(
      const auto rows,
      database_.Run((std::string(kSelectBlobs) + " WHERE diff_id=?").c_str(), {diff_id}));
  if (rows.empty()) return std::nullopt;
  return BlobOf(rows[0]);
}

Result<std::map<std::string, ImageLayer>> ImageIndex::LayersOf(const std::string& image_id) {
  ASSIGN_OR_RETURN(
      const auto rows,
      database_.Run("SELECT b.diff_id, b.size, (SELECT count(DISTINCT o.image_id) FROM "
                    "image_layers o WHERE o.diff_id = b.diff_id) FROM blobs b WHERE b.diff_id IN "
                    "(SELECT diff_id FROM image_layers WHERE image_id=?)",
                    {image_id}));
  std::map<std::string, ImageLayer> layers;
  for (const auto& row : rows)
    layers[row[0]] = {row[0], std::stoull(row[1]), static_cast<uint32_t>(std::stoul(row[2]))};
  return layers;
}

Result<std::vector<std::string>> ImageIndex::ForgetUnusedBlobs(const std::set<std::string>& keep) {
  ASSIGN_OR_RETURN(const auto unused,
                   Column("SELECT diff_id FROM blobs WHERE diff_id NOT IN "
                          "(SELECT diff_id FROM image_layers UNION SELECT diff_id FROM leases)"));
  std::vector<std::string> forgotten;
  for (const auto& diff_id : unused)
    if (!keep.contains(diff_id)) forgotten.push_back(diff_id);
  if (forgotten.empty()) return forgotten;
  RETURN_IF_ERROR(database_.Transaction(Durability::kPowerCut, [&]() -> Status {
    for (const auto& diff_id : forgotten)
      RETURN_IF_ERROR(database_.Run("DELETE FROM blobs WHERE diff_id=?", {diff_id}));
    return {};
  }));
  AbortStep();
  return forgotten;
}

Status ImageIndex::ForgetDamagedBlob(const std::string& diff_id) {
  RETURN_IF_ERROR(database_.Transaction(Durability::kPowerCut, [&]() -> Status {
    RETURN_IF_ERROR(database_.Run(
        "DELETE FROM images WHERE id IN (SELECT image_id FROM image_layers WHERE diff_id=?)",
        {diff_id}));
    RETURN_IF_ERROR(database_.Run("DELETE FROM blobs WHERE diff_id=?", {diff_id}));
    return {};
  }));
  AbortStep();
  return {};
}

Result<std::string> ImageIndex::BlobsCheckedInBoot() {
  ASSIGN_OR_RETURN(const auto values, Column("SELECT value FROM facts WHERE name='checked_in'"));
  return values.empty() ? std::string() : values[0];
}

Status ImageIndex::PutBlobsCheckedInBoot(const std::string& boot_id) {
  RETURN_IF_ERROR(
      database_.Run("INSERT OR REPLACE INTO facts VALUES ('checked_in', ?)", {boot_id}));
  return {};
}

Result<std::vector<std::string>> ImageIndex::LeasedLayers(const std::string& holder,
                                                          const std::string& image_id) {
  return Column("SELECT diff_id FROM leases WHERE holder=? AND image_id=? ORDER BY position",
                {holder, image_id});
}

Status ImageIndex::AddLease(const std::string& holder, const std::string& image_id,
                            const std::vector<std::string>& diff_ids) {
  RETURN_IF_ERROR(database_.Transaction(Durability::kProcessCrash, [&]() -> Status {
    for (size_t i = 0; i < diff_ids.size(); ++i)
      RETURN_IF_ERROR(database_.Run("INSERT OR REPLACE INTO leases VALUES (?,?,?,?)",
                                    {holder, image_id, std::to_string(i), diff_ids[i]}));
    return {};
  }));
  AbortStep();
  return {};
}

Status ImageIndex::DropLease(const std::string& holder, const std::string& image_id) {
  RETURN_IF_ERROR(database_.Transaction(Durability::kProcessCrash, [&]() -> Status {
    RETURN_IF_ERROR(
        database_.Run("DELETE FROM leases WHERE holder=? AND image_id=?", {holder, image_id}));
    return {};
  }));
  AbortStep();
  return {};
}

Status ImageIndex::DropLeases(const std::string& holder) {
  RETURN_IF_ERROR(database_.Transaction(Durability::kProcessCrash, [&]() -> Status {
    RETURN_IF_ERROR(database_.Run("DELETE FROM leases WHERE holder=?", {holder}));
    return {};
  }));
  AbortStep();
  return {};
}

Status ImageIndex::DropLeasesExcept(const std::vector<std::string>& holders) {
  const std::set<std::string> kept(holders.begin(), holders.end());
  ASSIGN_OR_RETURN(const auto all, Column("SELECT DISTINCT holder FROM leases"));
  RETURN_IF_ERROR(database_.Transaction(Durability::kProcessCrash, [&]() -> Status {
    for (const auto& holder : all)
      if (!kept.contains(holder))
        RETURN_IF_ERROR(database_.Run("DELETE FROM leases WHERE holder=?", {holder}));
    return {};
  }));
  AbortStep();
  return {};
}

Result<std::optional<uint64_t>> ImageIndex::MergedSize(const std::string& image_id,
                                                       MergedKind kind) {
  ASSIGN_OR_RETURN(const auto sizes, Column("SELECT size FROM merged WHERE image_id=? AND kind=?",
                                            {image_id, NameOf(kind)}));
  if (sizes.empty()) return std::nullopt;
  return std::stoull(sizes[0]);
}

Status ImageIndex::PutMerged(const std::string& image_id, MergedKind kind, uint64_t size_bytes) {
  RETURN_IF_ERROR(database_.Transaction(Durability::kPowerCut, [&]() -> Status {
    RETURN_IF_ERROR(database_.Run("INSERT OR REPLACE INTO merged VALUES (?,?,?)",
                                  {image_id, NameOf(kind), std::to_string(size_bytes)}));
    return {};
  }));
  AbortStep();
  return {};
}

Result<std::set<ImageIndex::MergedFile>> ImageIndex::MergedFiles(const char* sql) {
  ASSIGN_OR_RETURN(const auto rows, database_.Run(sql));
  std::set<MergedFile> files;
  for (const auto& row : rows)
    files.emplace(
        row[0], row[1] == NameOf(MergedKind::kDisk) ? MergedKind::kDisk : MergedKind::kAttributes);
  return files;
}

Result<std::set<ImageIndex::MergedFile>> ImageIndex::Merged() {
  return MergedFiles("SELECT image_id, kind FROM merged WHERE size > 0");
}

Result<std::set<ImageIndex::MergedFile>> ImageIndex::ForgetUnusedMerged() {
  ASSIGN_OR_RETURN(const auto unused,
                   MergedFiles("SELECT image_id, kind FROM merged WHERE image_id NOT IN "
                               "(SELECT id FROM images UNION SELECT image_id FROM leases)"));
  if (unused.empty()) return unused;
  RETURN_IF_ERROR(database_.Transaction(Durability::kPowerCut, [&]() -> Status {
    for (const auto& [image_id, kind] : unused)
      RETURN_IF_ERROR(database_.Run("DELETE FROM merged WHERE image_id=?", {image_id}));
    return {};
  }));
  AbortStep();
  return unused;
}

}  // namespace catamaran
