#include "front/asset.h"

const struct asset *asset_find(struct text name)
{
    for (size_t i = 0; i < asset_count; i++)
        if (text_is(name, asset_table[i].name))
            return &asset_table[i];
    return NULL;
}
