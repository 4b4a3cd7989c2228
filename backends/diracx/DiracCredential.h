#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "backends/diracx/DiracQuery.h"
#include "bridge/base/Clock.h"
#include "bridge/base/Secret.h"

namespace gridbridge {

/// What the official client's credential file holds: `access_token`, `refresh_token` or null, and
/// `expires_on` (diracx-core/src/diracx/core/utils.py of DIRACGrid/diracx). That client looks at no
/// other key, and drops ours, `refresh_at` and `refreshes_sent`, when it writes new tokens.
struct DiracCredential {
    Secret access;
    Secret refresh;      ///< Empty: there is none.
    WallTime expiresOn;  ///< From then on `access` is not to be shown any more.
    WallTime refreshAt;  ///< From then on it should be refreshed; not after `expiresOn`.
    /// How often `refresh` was sent without an answer that says it still holds.
    int refreshesSent = 0;

    /// Nothing when `text` is no credential file.
    static std::optional<DiracCredential> parse(std::string_view text);
    Secret text() const;
    /// The credential after DiracX answered `body` to its refresh that was begun at `asked`;
    /// nothing when `body` holds no tokens.
    std::optional<DiracCredential> refreshed(std::string_view body, WallTime asked) const;
    /// The refresh token holds only once. Those of the legacy exchange say in their claims that
    /// they are not replaced; of what cannot be read the worse is assumed.
    bool rotates() const;
};

/// By the claims in an access token, which only its server verifies. Nothing when it does not tell.
std::optional<DiracOwner> diracOwner(const Secret& access);

bool isJsonObject(std::string_view text);

}  // namespace gridbridge
