#include "front/group_names.h"

#include "consumers/group.h"
#include "front/reserved.h"

bool group_names_check(struct exchange *exchange)
{
    /* A group makes its stream where there is none, be it in the place of a key of ours. */
    if (topic_is_reserved(exchange->route.name)) {
        exchange_answer_problem(exchange, 422,
                                "Names that begin with sluice: or __redis__: are the gateway's own.");
        return false;
    }
    if (exchange->route.name.length <= GROUP_NAME_MAX && exchange->route.group.length <= GROUP_NAME_MAX)
        return true;
    exchange_answer_problem(
        exchange, 400, "The names of a stream and of a group have between 1 and %d bytes.", GROUP_NAME_MAX);
    return false;
}

void group_answer_wrong_type(struct exchange *exchange)
{
    exchange_answer_problem(exchange, 422, "The key of this name holds something else than a stream.");
}

void group_answer_refused(struct exchange *exchange, const char *problem)
{
    exchange_answer_problem(exchange, 503, "Redis refused: %s", problem);
}
