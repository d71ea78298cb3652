#include "redis/script_digest.h"

#include <criterion/criterion.h>

Test(script_digest, is_sha1_in_lower_case_each_time)
{
    struct script_digester *digester = script_digester_create();
    char digest[SCRIPT_DIGEST_BYTES];
    cr_assert(script_digest(digester, "abc", digest)); /* FIPS 180-1, appendix A */
    cr_assert_str_eq(digest, "a9993e364706816aba3e25717850c26c9cd0d89d");
    cr_assert(script_digest(digester, "", digest));
    cr_assert_str_eq(digest, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    cr_assert(script_digest(digester, "abc", digest));
    cr_assert_str_eq(digest, "a9993e364706816aba3e25717850c26c9cd0d89d");
    script_digester_destroy(digester);
    script_digester_destroy(NULL);
}
