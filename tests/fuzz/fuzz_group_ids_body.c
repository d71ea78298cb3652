/* Ids of an acknowledgement are bounded in number, each there once, and the consumer's name in length. */
#include "consumers/group.h"
#include "front/group_ids_body.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    struct group_ids_body body;
    struct problem problem = { 0 };
    if (!group_ids_body_parse(text_of(input.bytes, input.length), &body, &problem)) {
        REQUIRE(problem.status >= 400 && problem.status < 600);
        return 0;
    }
    REQUIRE(body.count >= 1 && body.count <= GROUP_IDS_MAX);
    REQUIRE(body.consumer.size <= GROUP_NAME_MAX);
    for (size_t i = 1; i < body.count; i++)
        REQUIRE(entry_id_compare(body.ids[0], body.ids[i]) != 0);
    group_ids_body_clear(&body);
    return 0;
}
