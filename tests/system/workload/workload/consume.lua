-- Takes 50 numbers from the pipe on its standard input for each token.
package.path = "/workload/?.lua"
local stage = require "stage"

local last = 0

stage.run("pipe", "/w/b", "/w/c", function()
    for _ = 1, 50 do
        local line = io.stdin:read("l")
        last = last + 1
        if line ~= tostring(last) then
            stage.torn("pipe", last, line or "end of file")
        end
    end
end)
