-- What an event id's marker says: a line for each source that has used the id, as CloudEvents has
-- it, "<outcome>\t<source>". The outcome is the id of the event's entry, or "refused:<reason>". A
-- marker of an earlier release has the outcome alone, and counts for whoever asks: that may keep
-- back an event of another source while such a marker lives, and never doubles one.
local function outcome_of(marker, source)
  for line in string.gmatch(marker or '', '[^\n]+') do
    local outcome, whose = string.match(line, '^([^\t]*)\t?(.*)$')
    if whose == '' or whose == source then return outcome end
  end
end

-- Returns the marker with another outcome for a source.
local function with_outcome(marker, source, outcome)
  local lines = {string.gsub(outcome, '[\t\n]', ' ') .. '\t' .. source}
  for line in string.gmatch(marker or '', '[^\n]+') do
    local whose = string.match(line, '\t(.*)$')
    if whose and whose ~= source then lines[#lines + 1] = line end
  end
  return table.concat(lines, '\n')
end

local function is_refusal(outcome)
  return string.sub(outcome, 1, 8) == 'refused:'
end
