-- One stage of the ring (see run.sh): reads tokens from one FIFO, lets `step` check and do its part, and
-- passes them on.
local stage = {}

function stage.torn(name, expected, found)
    io.stdout:write(("TORN %s: expected %s, found %s\n"):format(name, expected, found))
    os.exit(1)
end

function stage.run(name, from, to, step)
    local input = assert(io.open(from, "r"))
    local output = assert(io.open(to, "w"))
    local n = 0
    for line in input:lines() do
        n = n + 1
        if line ~= tostring(n) then
            stage.torn(name, n, line)
        end
        step(n)
        output:write(line, "\n")
        output:flush()
    end
    stage.torn(name, n + 1, "end of file")
end

return stage
