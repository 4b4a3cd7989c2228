#pragma once

#include <clocale>
#include <locale.h>

namespace gridbridge::payload {

/// libarchive converts names by the thread's locale: in the C locale it loses all but ASCII.
class Utf8Locale {
public:
    Utf8Locale() : before_(uselocale(utf8())) {}
    Utf8Locale(const Utf8Locale&) = delete;
    Utf8Locale& operator=(const Utf8Locale&) = delete;
    ~Utf8Locale() { uselocale(before_); }

private:
    /// Null where the system has no such locale: then uselocale changes nothing.
    static locale_t utf8() {
        static const locale_t kUtf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
        return kUtf8;
    }

    const locale_t before_;
};

}  // namespace gridbridge::payload
