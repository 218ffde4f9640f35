// Whatever a workbook is made of, reading ends; every row is accounted for; the size of the chunks that the
// bytes come in changes nothing.
//
// The input is a sheet, a zero byte, shared texts, a zero byte, styles; or, when it starts like a zip, a
// whole file.
#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "test/fuzz/format_fuzz.h"

namespace {

void add(archive* writer, const char* name, std::string_view text) {
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, name);
  archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  archive_write_data(writer, text.data(), text.size());
  archive_entry_free(entry);
}

std::string workbook(std::string_view input) {
  const auto part = [&] {
    const std::size_t end = std::min(input.find('\0'), input.size());
    const std::string_view text = input.substr(0, end);
    input.remove_prefix(std::min(end + 1, input.size()));
    return text;
  };
  std::string out(input.size() + 65536, '\0');
  std::size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_zip(writer);
  archive_write_set_options(writer, "compression=store");
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  add(writer, "xl/workbook.xml",
      "<workbook xmlns:r='u'><sheets><sheet name='one' sheetId='1' r:id='r1'/></sheets></workbook>");
  add(writer, "xl/_rels/workbook.xml.rels",
      "<Relationships><Relationship Id='r1' Type='x/worksheet' Target='sheet.xml'/>"
      "<Relationship Id='r2' Type='x/sharedStrings' Target='texts.xml'/>"
      "<Relationship Id='r3' Type='x/styles' Target='styles.xml'/></Relationships>");
  add(writer, "xl/sheet.xml", part());
  add(writer, "xl/texts.xml", part());
  add(writer, "xl/styles.xml", part());
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const auto readers = format_fuzz::make_readers({"generic.xlsx.json"});
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  const std::string file = input.starts_with("PK") ? std::string(input) : workbook(input);
  format_fuzz::read_both_ways(*readers[0], reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
  return 0;
}
